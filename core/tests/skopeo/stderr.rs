//! What skopeo's failures mean.

use std::time::Duration;

use proptest::prelude::*;
use skopeo_index::skopeo::RunError;
use skopeo_index::skopeo::classify_error;
use skopeo_index_core::machine::{CancelReason, EffectError, FailureKind, Retry};
use skopeo_index_core::skopeo::{CommandOutput, Exit};
use skopeo_index_core::skopeo::{classify, classify_exit, fatal_message};

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn failed(stderr: &str) -> CommandOutput {
    CommandOutput {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr: stderr.as_bytes().to_vec(),
    }
}

/// The class of a whole line with this message, and that the message is kept.
fn class_of(said: &str) -> FailureKind {
    let message = format!("Error parsing image name \"docker://127.0.0.1:5000/x@{D}\": {said}");
    let line = format!(
        "time=\"2026-11-23T22:28:40Z\" level=fatal msg={}\n",
        quoted(&message)
    );
    match classify_exit(&failed(&line)) {
        EffectError::Command {
            class,
            message: kept,
        } if kept == message => class,
        other => panic!("{other}"),
    }
}

/// The same, when the registry has answered with an error.
fn class_at_registry(said: &str) -> FailureKind {
    class_of(&format!("reading manifest {D} in 127.0.0.1:5000/x: {said}"))
}

/// As skopeo 1.9.3 wrote them, when a misbehaving registry made it.
#[test]
fn every_answer_of_a_registry_has_its_class() {
    let table = [
        ("manifest unknown", FailureKind::NotFound),
        ("manifest unknown: manifest unknown", FailureKind::NotFound),
        ("name unknown", FailureKind::NotFound),
        ("StatusCode: 404, ", FailureKind::NotFound),
        ("StatusCode: 404, nope", FailureKind::NotFound),
        (
            r#"StatusCode: 404, {"detail":"nope"}"#,
            FailureKind::NotFound,
        ),
        (r#"StatusCode: 400, {"errors":[]}"#, FailureKind::Other),
        ("StatusCode: 418, manifest unknown", FailureKind::Other),
        (
            "StatusCode: 403, x: toomanyrequests",
            FailureKind::Authentication,
        ),
        ("StatusCode: 429, slow", FailureKind::RateLimited),
        ("StatusCode", FailureKind::Other),
        ("unauthorized", FailureKind::Authentication),
        (
            "unauthorized: authentication required",
            FailureKind::Authentication,
        ),
        ("denied: no", FailureKind::Authentication),
        (
            "toomanyrequests: You have reached your pull rate limit",
            FailureKind::RateLimited,
        ),
        (
            "received unexpected HTTP status: 500 Internal Server Error",
            FailureKind::Server,
        ),
        (
            "received unexpected HTTP status: 503 Service Unavailable",
            FailureKind::Server,
        ),
        (
            "received unexpected HTTP status: 599 x",
            FailureKind::Server,
        ),
        ("received unexpected HTTP status: 600 x", FailureKind::Other),
        (
            "received unexpected HTTP status: x: 503 x",
            FailureKind::Other,
        ),
        ("manifest invalid: manifest unknown", FailureKind::Other),
        ("unavailable: manifest unknown", FailureKind::Other),
        ("unknown: m", FailureKind::Other),
        (
            "Get \"http://b/x\": dial tcp 127.0.0.1:1: connect: connection refused",
            FailureKind::Network,
        ),
        (
            "Get \"http://b/x\": x509: certificate has expired",
            FailureKind::Tls,
        ),
    ];
    for (said, class) in table {
        assert_eq!(class_at_registry(said), class, "{said}");
    }
}

#[test]
fn every_other_failure_has_its_class() {
    let table = [
        ("too many requests to registry", FailureKind::RateLimited),
        (
            "pinging container registry a: too many requests to registry",
            FailureKind::RateLimited,
        ),
        (
            "Requesting bearer token: invalid status code from registry 500 (Internal Server Error)",
            FailureKind::Server,
        ),
        (
            "Requesting bearer token: invalid status code from registry 403 (Forbidden)",
            FailureKind::Authentication,
        ),
        (
            "Requesting bearer token: invalid status code from registry 401 (Unauthorized)",
            FailureKind::Authentication,
        ),
        (
            "Requesting bearer token: invalid status code from registry 404 (Not Found)",
            FailureKind::Other,
        ),
        (
            "exceeded maximum allowed size of 1048576 bytes",
            FailureKind::Other,
        ),
        (
            "unable to retrieve auth token: invalid username/password: denied: m",
            FailureKind::Authentication,
        ),
        (
            "unable to retrieve auth token: invalid username/password: unknown: toomanyrequests",
            FailureKind::Authentication,
        ),
        (
            "pinging container registry a: Get \"http://a/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            FailureKind::Network,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": dial tcp: lookup a on 10.0.0.1:53: no such host",
            FailureKind::Network,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": x509: certificate signed by unknown authority",
            FailureKind::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": tls: first record does not look like a TLS handshake",
            FailureKind::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": first record does not look like a TLS handshake",
            FailureKind::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": remote error: tls: bad certificate",
            FailureKind::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": http: server gave HTTP response to HTTPS client",
            FailureKind::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": http: something else",
            FailureKind::Other,
        ),
        (
            "pinging container registry a: invalid status code from registry 503 (Service Unavailable)",
            FailureKind::Server,
        ),
        (
            "Get \"http://a/unauthorized\": dial tcp 127.0.0.1:1: connect: connection refused",
            FailureKind::Network,
        ),
        (
            "Get \"gopher://x\": unsupported protocol scheme \"gopher\"",
            FailureKind::Other,
        ),
        (
            "Get \"http://a/v2/x\": context deadline exceeded",
            FailureKind::Network,
        ),
        ("Get \"http://a/v2/x\": EOF", FailureKind::Network),
        (
            "Get \"/v2/x\": stopped after 10 redirects",
            FailureKind::Other,
        ),
        ("context deadline exceeded", FailureKind::Network),
        ("unexpected EOF", FailureKind::Network),
        (
            "exceeded maximum allowed size of 4194304 bytes",
            FailureKind::TooLarge,
        ),
        (
            "parsing manifest list \"{}: unauthorized: x\": rejecting ambiguous manifest",
            FailureKind::NotAnIndex,
        ),
        (
            "reference \"[overlay@/x]a\" does not resolve to an image ID: identifier is not an image",
            FailureKind::NotFound,
        ),
        (
            "Manifest does not match provided manifest digest sha256:00",
            FailureKind::DigestMismatch,
        ),
        ("something new", FailureKind::Other),
    ];
    for (said, class) in table {
        assert_eq!(class_of(said), class, "{said}");
    }
}

/// As skopeo 1.9.3 wrote them, with mirrors in registries.conf.
#[test]
fn what_the_registry_says_decides_and_not_its_mirrors() {
    let refused = "pinging container registry a: Get \"http://a/v2/\": dial tcp 127.0.0.1:1: connect: connection refused";
    let at = |said: &str| format!("reading manifest {D} in b/x: {said}");
    let table = [
        (
            vec![at("manifest unknown: manifest unknown")],
            refused.to_owned(),
            FailureKind::Network,
        ),
        (
            vec![refused.to_owned()],
            at("manifest unknown: manifest unknown"),
            FailureKind::NotFound,
        ),
        (
            vec![refused.to_owned(), at("denied: no")],
            at("toomanyrequests: slow"),
            FailureKind::RateLimited,
        ),
        (
            vec![at("unknown: \"odd ]): x: unauthorized: no")],
            at("manifest unknown"),
            FailureKind::NotFound,
        ),
        (
            vec![at("manifest unknown")],
            at("unknown: manifest unknown"),
            FailureKind::Other,
        ),
    ];
    for (mirrors, primary, class) in table {
        let mirrors: Vec<_> = mirrors
            .iter()
            .map(|said| format!("[b/x@{D}: {said}]"))
            .collect();
        let said = format!(
            "(Mirrors also failed: {}): a/x@{D}: {primary}",
            mirrors.join("\n")
        );
        assert_eq!(class_of(&said), class, "{said}");
        let copied = format!("initializing source docker://a/x@{D}: {said}");
        assert_eq!(classify(&copied), class, "{copied}");
    }
    // Nobody but skopeo says that mirrors failed.
    let words = "(Mirrors also failed: [a: b]): c: manifest unknown";
    for said in [
        at(&format!("unknown: {words}")),
        format!("Get \"http://a/?{words}\": unsupported protocol scheme \"\""),
    ] {
        assert_eq!(class_of(&said), FailureKind::Other, "{said}");
    }
    let said = format!("unable to retrieve auth token: invalid username/password: {words}");
    assert_eq!(class_of(&said), FailureKind::Authentication, "{said}");
}

/// From 1.10 on (containers/image 5.23) the code goes where its message is the
/// usual one; the texts are those of containers/image's own tests.
#[test]
fn what_newer_skopeos_say_without_a_code_has_its_class() {
    let table = [
        (
            "requested access to the resource is denied",
            FailureKind::Authentication,
        ),
        ("authentication required", FailureKind::Authentication),
        (
            "repository name not known to registry",
            FailureKind::NotFound,
        ),
        ("manifest unknown", FailureKind::NotFound),
        (r#"StatusCode: 404, "Not found\r""#, FailureKind::NotFound),
        ("too many requests", FailureKind::RateLimited),
        ("unknown error", FailureKind::Other),
        ("unknown: 404 page not found", FailureKind::Other),
        // With more behind it, it isn't the whole message of a code.
        ("too many requests: x", FailureKind::Other),
        ("authentication required: x", FailureKind::Other),
        ("unknown: too many requests", FailureKind::Other),
    ];
    for (said, class) in table {
        assert_eq!(class_at_registry(said), class, "{said}");
    }
}

/// Docker Hub answers so where a repository isn't there.
#[test]
fn of_several_errors_in_one_answer_the_first_decides() {
    let table = [
        (
            "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required\n",
            FailureKind::Authentication,
        ),
        (
            "errors:\nmanifest unknown\nname unknown: x\n",
            FailureKind::NotFound,
        ),
        (
            "errors:\nunknown: a\n: manifest unknown\nunknown: unauthorized: b\n",
            FailureKind::Other,
        ),
    ];
    for (said, class) in table {
        assert_eq!(class_at_registry(said), class, "{said}");
    }
}

#[test]
fn only_what_may_pass_is_tried_again() {
    for class in [
        FailureKind::RateLimited,
        FailureKind::Server,
        FailureKind::Network,
        FailureKind::Timeout,
    ] {
        assert_eq!(class.retry(), Retry::Worthwhile, "{class}");
    }
    for class in [
        FailureKind::NotFound,
        FailureKind::Authentication,
        FailureKind::Tls,
        FailureKind::DigestMismatch,
        FailureKind::NotAnIndex,
        FailureKind::TooLarge,
        FailureKind::NoSkopeo,
        FailureKind::Other,
    ] {
        assert_eq!(class.retry(), Retry::Pointless, "{class}");
    }
}

#[test]
fn the_last_fatal_line_counts_and_is_decoded() {
    let stderr = "time=\"x\" level=warning msg=\"careful\"\ntime=\"x\" level=fatal msg=\"a \\\"b\\\" \\x1b[31m\\u00e4\\n\"\n";
    assert_eq!(
        fatal_message(stderr).as_deref(),
        Some("a \"b\" \u{1b}[31mä\n")
    );
    let EffectError::Command { message, .. } = classify_exit(&failed(stderr)) else {
        panic!("no command")
    };
    assert_eq!(message, "a \"b\" \u{1b}[31mä\n");
}

#[test]
fn a_message_that_needs_no_quotes_stands_bare() {
    let bare = fatal_message("level=fatal msg=EOF");
    assert_eq!(bare.as_deref(), Some("EOF"));
}

#[test]
fn bytes_that_go_escapes_one_by_one_are_a_text_again() {
    let line = r#"level=fatal msg="\xc3\xa4 \xff \u00e4 \U0001f600 \a\b\f\n\r\t\v \q \xg""#;
    let read = "\u{e4} \u{fffd} \u{e4} \u{1f600} \u{7}\u{8}\u{c}\n\r\t\u{b} q \\xg";
    assert_eq!(fatal_message(line).as_deref(), Some(read));
}

#[test]
fn a_command_without_an_end_has_its_class() {
    let table = [
        (RunError::NotFound("x".into()), FailureKind::NoSkopeo),
        (
            RunError::Io {
                program: "x".into(),
                error: std::io::ErrorKind::PermissionDenied.into(),
            },
            FailureKind::NoSkopeo,
        ),
        (
            RunError::TimedOut {
                after: Duration::from_secs(1),
                stderr: b"it may yet come".to_vec(),
            },
            FailureKind::Timeout,
        ),
        (RunError::OutputTooLarge(1), FailureKind::TooLarge),
        (RunError::StagingTooLarge(1), FailureKind::TooLarge),
    ];
    for (error, class) in table {
        let message = error.to_string();
        assert_eq!(
            classify_error(&error),
            Some(EffectError::Command { class, message })
        );
    }
    let why = CancelReason::HungUp;
    assert_eq!(
        classify_error(&RunError::Cancelled(why)),
        Some(EffectError::Cancelled { why })
    );
    assert_eq!(classify_error(&RunError::Halt), None);
}

#[test]
fn what_is_no_log_line_is_shown_whole() {
    let EffectError::Command { class, message } =
        classify_exit(&failed("panic: oh\ngoroutine 1\n"))
    else {
        panic!("no command")
    };
    assert_eq!(
        (class, message.as_str()),
        (FailureKind::Other, "panic: oh\ngoroutine 1")
    );
    let EffectError::Command { message, .. } = classify_exit(&failed("")) else {
        panic!("no command")
    };
    assert!(message.contains("exit status 1"));
}

#[test]
fn credentials_in_a_message_are_masked() {
    let stderr = "level=fatal msg=\"proxyconnect tcp: dial http://user:secret@proxy:1: no\"";
    let EffectError::Command { message, .. } = classify_exit(&failed(stderr)) else {
        panic!("no command")
    };
    assert!(
        !message.contains("secret") && message.contains("proxy:1"),
        "{message}"
    );
}

/// Texts that would decide if skopeo had said them.
fn decisive() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "toomanyrequests",
        "too many requests to registry",
        "unauthorized",
        "denied: x",
        "manifest unknown",
        "x509: bad",
        "tls: bad",
        "connection refused",
        "unexpected EOF",
        "received unexpected HTTP status: 503 x",
        "StatusCode: 404, x",
        "reading manifest a in b",
        "parsing manifest list x",
        "Manifest does not match provided manifest digest x",
        "Get \"x\": EOF",
        "\n",
        "\"",
        "\\",
        ": ",
        " msg=\"x\"",
        "level=fatal",
        "errors:",
    ])
}

/// Go's `%q`.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || u32::from(c) == 0x202e => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c if u32::from(c) > 0xffff => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..crate::regressions("proptest-regressions/failure.txt") })]

    #[test]
    fn what_go_quotes_is_read_back(text: String) {
        let line = format!("time=\"now\" level=fatal msg={}", quoted(&text));
        prop_assert_eq!(fatal_message(&line), Some(text));
    }

    #[test]
    fn a_registrys_words_behind_its_code_decide_nothing(
        code in prop::sample::select(vec![("unknown", FailureKind::Other), ("manifest invalid", FailureKind::Other), ("toomanyrequests", FailureKind::RateLimited), ("denied", FailureKind::Authentication), ("StatusCode: 400, ", FailureKind::Other), ("manifest unknown", FailureKind::NotFound)]),
        words in prop::collection::vec(decisive(), 0..6),
        glue in prop::sample::select(vec![": ", " ", "\n", ""]),
    ) {
        let said = format!("{}: {}", code.0, words.join(glue));
        prop_assert_eq!(class_at_registry(&said), code.1, "{}", said);
    }

    #[test]
    fn a_mirrors_words_decide_nothing(
        words in prop::collection::vec(prop_oneof![decisive(), Just("]): a/x: "), Just("\"")], 0..6),
        glue in prop::sample::select(vec![": ", " ", "\n", ""]),
        said in prop::sample::select(vec![("manifest unknown", FailureKind::NotFound), ("denied: no", FailureKind::Authentication), ("unknown: x", FailureKind::Other)]),
    ) {
        let mirror = format!("[b/x: reading manifest {D} in b/x: {}]", words.join(glue));
        let primary = format!("a/x: reading manifest {D} in a/x: {}", said.0);
        let message = format!("(Mirrors also failed: {mirror}): {primary}");
        prop_assert_eq!(class_of(&message), said.1, "{}", message);
    }

    #[test]
    fn what_a_registry_gets_quoted_decides_nothing(words in prop::collection::vec(decisive(), 0..6), glue in prop::sample::select(vec![": ", " ", ""])) {
        let message = format!("Get {}: unsupported protocol scheme {}", quoted(&words.join(glue)), quoted(&words.concat()));
        prop_assert_eq!(classify(&message), FailureKind::Other, "{}", message);
    }

    #[test]
    fn no_stderr_makes_it_panic(stderr: Vec<u8>) {
        let _any = classify_exit(&CommandOutput { exit: Exit::Signal(9), stdout: Vec::new(), stderr });
    }
}
