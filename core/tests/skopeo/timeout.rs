//! What the debug lines of a command say that its last message doesn't.

use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::skopeo::Exit;
use skopeo_index_core::skopeo::stderr::{classify_exit, classify_timeout};

use crate::{failed, quoted};

/// Recorded from skopeo 1.9.3; 1.22 writes the same.
const SLEEPING: &str = r#"time="x" level=debug msg="Detected 'Retry-After' header \"60\""
time="x" level=debug msg="Too many requests to http://r/v2/x/manifests/y: sleeping for 60.000000 seconds before next attempt"
"#;

#[test]
fn timeout_while_skopeo_waits_for_a_rate_limit_is_rate_limited() {
    let after = format!("{SLEEPING}time=\"x\" level=debug msg=\"GET http://r/v2/\"\n");
    let warned = format!("{SLEEPING}time=\"x\" level=warning msg=\"careful\"\n");
    let forged =
        r#"time="x" level=debug msg="Detected 'Retry-After' header \"Too many requests to \"""#;
    for (stderr, kind) in [
        (SLEEPING, FailureKind::RateLimited),
        (&warned, FailureKind::RateLimited),
        (&after, FailureKind::Timeout),
        (forged, FailureKind::Timeout),
        ("Too many requests to x", FailureKind::Timeout),
        ("", FailureKind::Timeout),
    ] {
        assert_eq!(classify_timeout(stderr.as_bytes()), kind, "{stderr}");
    }
}

/// Recorded from skopeo 1.9.3.
#[test]
fn phrase_of_a_proxy_is_no_error_of_the_network() {
    for (text, go, kind) in [
        (
            "dial tcp: EOF",
            "(*errors.errorString)(0xc00046b140)",
            FailureKind::Proxy,
        ),
        (
            "net/http: TLS handshake timeout",
            "(*errors.errorString)(0xc0)",
            FailureKind::Proxy,
        ),
        (
            "net/http: TLS handshake timeout",
            "http.tlsHandshakeTimeoutError{}",
            FailureKind::Network,
        ),
        (
            "dial tcp 10.0.0.1:443: connect: connection refused",
            "(*net.OpError)(0xc0)",
            FailureKind::Network,
        ),
        (
            "x Err:(*net.OpError)(0xc0)})\": EOF",
            "(*errors.errorString)(0xc0)",
            FailureKind::Proxy,
        ),
        (
            "x (&url.Error{Err:(*errors.errorString)(0xc0)}): EOF",
            "(*net.OpError)(0xc0)",
            FailureKind::Network,
        ),
        ("EOF", "(*errors.errorString)(0xc0)", FailureKind::Network),
        (
            "http: EOF",
            "(*errors.errorString)(0xc0)",
            FailureKind::Proxy,
        ),
        (
            "http: server closed idle connection",
            "(*errors.errorString)(0xc0)",
            FailureKind::Network,
        ),
    ] {
        let get = format!("Get \"https://r/v2/\": {text}");
        let ping = format!(
            "Ping https://r/v2/ err {get} (&url.Error{{Op:\"Get\", URL:\"https://r/v2/\", Err:{go}}})"
        );
        let fatal = format!(
            "Error parsing image name \"docker://r/x\": pinging container registry r: {get}"
        );
        let stderr = format!(
            "time=\"x\" level=debug msg={}\ntime=\"x\" level=debug msg=\"GET https://r/v1/_ping\"\n\
             time=\"x\" level=fatal msg={}\n",
            quoted(&ping),
            quoted(&fatal)
        );
        let error = classify_exit(&failed(&stderr), &Redactor::default());
        let EffectError::Command { kind: found, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(found, kind, "{text} {go}");
    }
}

#[test]
fn killed_command_is_not_classified_by_its_last_message() {
    let mut output =
        failed("time=\"x\" level=fatal msg=\"reading manifest x: manifest unknown\"\n");
    for (exit, expected) in [
        (Exit::Status(1), FailureKind::NotFound),
        (Exit::Signal(9), FailureKind::Other),
    ] {
        output.exit = exit;
        let error = classify_exit(&output, &Redactor::default());
        let EffectError::Command { kind, message } = error else {
            panic!("{error}")
        };
        assert_eq!(kind, expected, "{exit:?}");
        assert!(message.ends_with("manifest unknown"), "{message}");
    }
}

/// Where `/v1/_ping` is answered, skopeo 1.9.3 says only that of any failed ping.
#[test]
fn ping_hidden_by_a_v1_registry_is_classified_by_its_status() {
    for (status, kind) in [
        ("404", FailureKind::NoRegistry),
        ("503", FailureKind::Server),
        ("403", FailureKind::Authentication),
    ] {
        let stderr = format!(
            "time=\"x\" level=debug msg=\"Ping http://r/v2/ status {status}\"\n\
             time=\"x\" level=debug msg=\"Ping http://r/v1/_ping status 200\"\n\
             time=\"x\" level=fatal msg=\"Error parsing image name \\\"docker://r/x\\\": can't talk to a V1 container registry\"\n"
        );
        let error = classify_exit(&failed(&stderr), &Redactor::default());
        let EffectError::Command { kind: found, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(found, kind, "{status}");
    }
}

#[test]
fn message_of_a_killed_command_with_a_long_last_line_is_truncated() {
    let mut output = failed(&"x".repeat(5000));
    for exit in [Exit::Status(1), Exit::Signal(9)] {
        output.exit = exit;
        let EffectError::Command { message, .. } = classify_exit(&output, &Redactor::default())
        else {
            panic!("{exit:?}")
        };
        assert!(message.ends_with(" bytes in all)"), "{message}");
    }
}
