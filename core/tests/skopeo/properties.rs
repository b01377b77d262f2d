//! Text of registries and mirrors never decides the kind of a failure.

use proptest::prelude::*;
use skopeo_index_core::machine::FailureKind;
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::skopeo::stderr::{classify, classify_exit};
use skopeo_index_core::skopeo::{CommandOutput, Exit};

use crate::{D, kind_at_registry, kind_of, quoted};

/// Texts that would decide the kind if they were skopeo's own.
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

proptest! {
    #![proptest_config(crate::support::property::config(2000, "skopeo-stderr.txt"))]

    #[test]
    fn registry_text_after_its_code_never_decides_the_kind(
        code in prop::sample::select(vec![("manifest invalid", FailureKind::Other), ("toomanyrequests", FailureKind::RateLimited), ("denied", FailureKind::Authentication), ("StatusCode: 400, ", FailureKind::Other), ("manifest unknown", FailureKind::NotFound)]),
        words in prop::collection::vec(decisive(), 0..6),
        glue in prop::sample::select(vec![": ", " ", "\n", ""]),
    ) {
        let text = format!("{}: {}", code.0, words.join(glue));
        prop_assert_eq!(kind_at_registry(&text), code.1, "{}", text);
    }

    /// skopeo shows neither code nor status: the text stands for them, and chooses only
    /// between kinds that are permanent.
    #[test]
    fn registry_text_without_a_known_code_never_makes_a_failure_transient(
        words in prop::collection::vec(prop_oneof![decisive(), Just("not found"), Just("forbidden"), Just("access denied")], 0..6),
        glue in prop::sample::select(vec![": ", " ", "\n", ""]),
    ) {
        let kind = kind_at_registry(&format!("unknown: {}", words.join(glue)));
        prop_assert!(matches!(kind, FailureKind::NotFound | FailureKind::Authentication | FailureKind::Other), "{kind:?}");
    }

    /// skopeo 1.10 and later show the answer to a ping as they show a manifest's.
    #[test]
    fn registry_text_in_a_ping_never_decides_the_kind(
        code in prop::sample::select(vec![("unknown", FailureKind::NoRegistry), ("manifest unknown", FailureKind::NoRegistry), ("manifest invalid", FailureKind::NoRegistry), ("StatusCode: 404, ", FailureKind::NoRegistry), ("denied", FailureKind::Authentication), ("toomanyrequests", FailureKind::RateLimited)]),
        words in prop::collection::vec(decisive(), 0..6),
        glue in prop::sample::select(vec![": ", "\n", ""]),
    ) {
        let text = format!("pinging container registry a: {}: x{}", code.0, words.join(glue));
        prop_assert_eq!(kind_of(&text), code.1, "{}", text);
    }

    /// Names in a certificate, a proxy's phrase, a credential helper's output.
    #[test]
    fn text_of_certificates_proxies_and_helpers_never_decides_the_kind(
        words in prop::collection::vec(decisive(), 0..6),
        glue in prop::sample::select(vec![": ", " ", "\n", ""]),
    ) {
        let words = words.join(glue);
        let get = "pinging container registry a: Get \"https://a/v2/\": ";
        for (text, kind) in [
            (format!("{get}x509: certificate is valid for {words}"), FailureKind::TlsHostName),
            (format!("getting username and password: error getting credentials - err: exit status 1, out: `{words}`"), FailureKind::CredentialHelper),
            (format!("{get}net/http: HTTP/1.x transport connection broken: malformed MIME header initial line: {words}"), FailureKind::Other),
        ] {
            prop_assert_eq!(kind_of(&text), kind, "{}", text);
        }
    }

    #[test]
    fn mirror_text_never_decides_the_kind(
        words in prop::collection::vec(prop_oneof![decisive(), Just("]): a/x: "), Just("\"")], 0..6),
        glue in prop::sample::select(vec![": ", " ", "\n", ""]),
        text in prop::sample::select(vec![("manifest unknown", FailureKind::NotFound), ("denied: no", FailureKind::Authentication), ("unknown: x", FailureKind::Other)]),
    ) {
        let mirror = format!("[b/x: reading manifest {D} in b/x: {}]", words.join(glue));
        let primary = format!("a/x: reading manifest {D} in a/x: {}", text.0);
        let message = format!("(Mirrors also failed: {mirror}): {primary}");
        prop_assert_eq!(kind_of(&message), text.1, "{}", message);
    }

    #[test]
    fn quoted_registry_text_never_decides_the_kind(words in prop::collection::vec(decisive(), 0..6), glue in prop::sample::select(vec![": ", " ", ""])) {
        let message = format!("Get {}: unsupported protocol scheme {}", quoted(&words.join(glue)), quoted(&words.concat()));
        prop_assert_eq!(classify(&message), FailureKind::Other, "{}", message);
    }

    #[test]
    fn classify_of_any_stderr_does_not_panic(stderr: Vec<u8>) {
        let _error = classify_exit(&CommandOutput { exit: Exit::Signal(9), stdout: Vec::new(), stderr }, &Redactor::default());
    }
}
