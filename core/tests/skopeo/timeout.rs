//! What the debug lines of a command say that its last message doesn't.

use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::skopeo::stderr::{classify_exit, classify_timeout};

use crate::failed;

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
