//! What skopeo's failures mean.

use std::time::Duration;

use proptest::prelude::*;
use skopeo_index::machine::{Class, Retry, Stop, Trouble};
use skopeo_index::skopeo::failure::{classify, explain, explain_run, fatal_message};
use skopeo_index::skopeo::{Exit, Ran, RunError};

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn failed(stderr: &str) -> Ran {
    Ran {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr: stderr.as_bytes().to_vec(),
    }
}

/// The class of a whole line with this message, and that the message is kept.
fn class_of(said: &str) -> Class {
    let message = format!("Error parsing image name \"docker://127.0.0.1:5000/x@{D}\": {said}");
    let line = format!(
        "time=\"2026-11-23T22:28:40Z\" level=fatal msg={}\n",
        quoted(&message)
    );
    match explain(&failed(&line)) {
        Trouble::Command {
            class,
            message: kept,
        } if kept == message => class,
        other => panic!("{other}"),
    }
}

/// The same, when the registry has answered with an error.
fn class_at_registry(said: &str) -> Class {
    class_of(&format!("reading manifest {D} in 127.0.0.1:5000/x: {said}"))
}

/// As skopeo 1.9.3 wrote them, when a misbehaving registry made it.
#[test]
fn every_answer_of_a_registry_has_its_class() {
    let table = [
        ("manifest unknown", Class::NotFound),
        ("manifest unknown: manifest unknown", Class::NotFound),
        ("name unknown", Class::NotFound),
        ("StatusCode: 404, ", Class::NotFound),
        ("StatusCode: 404, nope", Class::NotFound),
        (r#"StatusCode: 404, {"detail":"nope"}"#, Class::NotFound),
        (r#"StatusCode: 400, {"errors":[]}"#, Class::Other),
        ("StatusCode: 418, manifest unknown", Class::Other),
        ("StatusCode: 403, x: toomanyrequests", Class::Authentication),
        ("StatusCode: 429, slow", Class::RateLimited),
        ("StatusCode", Class::Other),
        ("unauthorized", Class::Authentication),
        (
            "unauthorized: authentication required",
            Class::Authentication,
        ),
        ("denied: no", Class::Authentication),
        (
            "toomanyrequests: You have reached your pull rate limit",
            Class::RateLimited,
        ),
        (
            "received unexpected HTTP status: 500 Internal Server Error",
            Class::Server,
        ),
        (
            "received unexpected HTTP status: 503 Service Unavailable",
            Class::Server,
        ),
        ("received unexpected HTTP status: 599 x", Class::Server),
        ("received unexpected HTTP status: 600 x", Class::Other),
        ("received unexpected HTTP status: x: 503 x", Class::Other),
        ("manifest invalid: manifest unknown", Class::Other),
        ("unavailable: manifest unknown", Class::Other),
        ("unknown: m", Class::Other),
        (
            "Get \"http://b/x\": dial tcp 127.0.0.1:1: connect: connection refused",
            Class::Network,
        ),
        (
            "Get \"http://b/x\": x509: certificate has expired",
            Class::Tls,
        ),
    ];
    for (said, class) in table {
        assert_eq!(class_at_registry(said), class, "{said}");
    }
}

#[test]
fn every_other_failure_has_its_class() {
    let table = [
        ("too many requests to registry", Class::RateLimited),
        (
            "pinging container registry a: too many requests to registry",
            Class::RateLimited,
        ),
        (
            "Requesting bearer token: invalid status code from registry 500 (Internal Server Error)",
            Class::Server,
        ),
        (
            "Requesting bearer token: invalid status code from registry 403 (Forbidden)",
            Class::Authentication,
        ),
        (
            "Requesting bearer token: invalid status code from registry 401 (Unauthorized)",
            Class::Authentication,
        ),
        (
            "Requesting bearer token: invalid status code from registry 404 (Not Found)",
            Class::Other,
        ),
        (
            "exceeded maximum allowed size of 1048576 bytes",
            Class::Other,
        ),
        (
            "unable to retrieve auth token: invalid username/password: denied: m",
            Class::Authentication,
        ),
        (
            "unable to retrieve auth token: invalid username/password: unknown: toomanyrequests",
            Class::Authentication,
        ),
        (
            "pinging container registry a: Get \"http://a/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            Class::Network,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": dial tcp: lookup a on 10.0.0.1:53: no such host",
            Class::Network,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": x509: certificate signed by unknown authority",
            Class::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": tls: first record does not look like a TLS handshake",
            Class::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": first record does not look like a TLS handshake",
            Class::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": remote error: tls: bad certificate",
            Class::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": http: server gave HTTP response to HTTPS client",
            Class::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": http: something else",
            Class::Other,
        ),
        (
            "pinging container registry a: invalid status code from registry 503 (Service Unavailable)",
            Class::Server,
        ),
        (
            "Get \"http://a/unauthorized\": dial tcp 127.0.0.1:1: connect: connection refused",
            Class::Network,
        ),
        (
            "Get \"gopher://x\": unsupported protocol scheme \"gopher\"",
            Class::Other,
        ),
        (
            "Get \"http://a/v2/x\": context deadline exceeded",
            Class::Network,
        ),
        ("Get \"http://a/v2/x\": EOF", Class::Network),
        ("Get \"/v2/x\": stopped after 10 redirects", Class::Other),
        ("context deadline exceeded", Class::Network),
        ("unexpected EOF", Class::Network),
        (
            "exceeded maximum allowed size of 4194304 bytes",
            Class::TooLarge,
        ),
        (
            "parsing manifest list \"{}: unauthorized: x\": rejecting ambiguous manifest",
            Class::NotAnIndex,
        ),
        (
            "reference \"[overlay@/x]a\" does not resolve to an image ID: identifier is not an image",
            Class::NotFound,
        ),
        (
            "Manifest does not match provided manifest digest sha256:00",
            Class::DigestMismatch,
        ),
        ("something new", Class::Other),
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
            Class::Network,
        ),
        (
            vec![refused.to_owned()],
            at("manifest unknown: manifest unknown"),
            Class::NotFound,
        ),
        (
            vec![refused.to_owned(), at("denied: no")],
            at("toomanyrequests: slow"),
            Class::RateLimited,
        ),
        (
            vec![at("unknown: \"odd ]): x: unauthorized: no")],
            at("manifest unknown"),
            Class::NotFound,
        ),
        (
            vec![at("manifest unknown")],
            at("unknown: manifest unknown"),
            Class::Other,
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
        assert_eq!(class_of(&said), Class::Other, "{said}");
    }
    let said = format!("unable to retrieve auth token: invalid username/password: {words}");
    assert_eq!(class_of(&said), Class::Authentication, "{said}");
}

/// From 1.10 on (containers/image 5.23) the code goes where its message is the
/// usual one; the texts are those of containers/image's own tests.
#[test]
fn what_newer_skopeos_say_without_a_code_has_its_class() {
    let table = [
        (
            "requested access to the resource is denied",
            Class::Authentication,
        ),
        ("authentication required", Class::Authentication),
        ("repository name not known to registry", Class::NotFound),
        ("manifest unknown", Class::NotFound),
        (r#"StatusCode: 404, "Not found\r""#, Class::NotFound),
        ("too many requests", Class::RateLimited),
        ("unknown error", Class::Other),
        ("unknown: 404 page not found", Class::Other),
        // With more behind it, it isn't the whole message of a code.
        ("too many requests: x", Class::Other),
        ("authentication required: x", Class::Other),
        ("unknown: too many requests", Class::Other),
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
            Class::Authentication,
        ),
        (
            "errors:\nmanifest unknown\nname unknown: x\n",
            Class::NotFound,
        ),
        (
            "errors:\nunknown: a\n: manifest unknown\nunknown: unauthorized: b\n",
            Class::Other,
        ),
    ];
    for (said, class) in table {
        assert_eq!(class_at_registry(said), class, "{said}");
    }
}

#[test]
fn only_what_may_pass_is_tried_again() {
    for class in [
        Class::RateLimited,
        Class::Server,
        Class::Network,
        Class::Timeout,
    ] {
        assert_eq!(class.retry(), Retry::Worthwhile, "{class}");
    }
    for class in [
        Class::NotFound,
        Class::Authentication,
        Class::Tls,
        Class::DigestMismatch,
        Class::NotAnIndex,
        Class::TooLarge,
        Class::NoSkopeo,
        Class::Other,
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
    let Trouble::Command { message, .. } = explain(&failed(stderr)) else {
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
        (RunError::NotThere("x".into()), Class::NoSkopeo),
        (
            RunError::Broken {
                program: "x".into(),
                error: std::io::ErrorKind::PermissionDenied.into(),
            },
            Class::NoSkopeo,
        ),
        (
            RunError::TimedOut {
                after: Duration::from_secs(1),
                stderr: b"it may yet come".to_vec(),
            },
            Class::Timeout,
        ),
        (RunError::OutputTooLarge(1), Class::TooLarge),
        (RunError::StagingTooLarge(1), Class::TooLarge),
    ];
    for (error, class) in table {
        let message = error.to_string();
        assert_eq!(
            explain_run(&error),
            Some(Trouble::Command { class, message })
        );
    }
    let why = Stop::HungUp;
    assert_eq!(
        explain_run(&RunError::Stopped(why)),
        Some(Trouble::Stopped { why })
    );
    assert_eq!(explain_run(&RunError::Halt), None);
}

#[test]
fn what_is_no_log_line_is_shown_whole() {
    let Trouble::Command { class, message } = explain(&failed("panic: oh\ngoroutine 1\n")) else {
        panic!("no command")
    };
    assert_eq!(
        (class, message.as_str()),
        (Class::Other, "panic: oh\ngoroutine 1")
    );
    let Trouble::Command { message, .. } = explain(&failed("")) else {
        panic!("no command")
    };
    assert!(message.contains("exit status 1"));
}

#[test]
fn credentials_in_a_message_are_masked() {
    let stderr = "level=fatal msg=\"proxyconnect tcp: dial http://user:secret@proxy:1: no\"";
    let Trouble::Command { message, .. } = explain(&failed(stderr)) else {
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
        code in prop::sample::select(vec![("unknown", Class::Other), ("manifest invalid", Class::Other), ("toomanyrequests", Class::RateLimited), ("denied", Class::Authentication), ("StatusCode: 400, ", Class::Other), ("manifest unknown", Class::NotFound)]),
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
        said in prop::sample::select(vec![("manifest unknown", Class::NotFound), ("denied: no", Class::Authentication), ("unknown: x", Class::Other)]),
    ) {
        let mirror = format!("[b/x: reading manifest {D} in b/x: {}]", words.join(glue));
        let primary = format!("a/x: reading manifest {D} in a/x: {}", said.0);
        let message = format!("(Mirrors also failed: {mirror}): {primary}");
        prop_assert_eq!(class_of(&message), said.1, "{}", message);
    }

    #[test]
    fn what_a_registry_gets_quoted_decides_nothing(words in prop::collection::vec(decisive(), 0..6), glue in prop::sample::select(vec![": ", " ", ""])) {
        let message = format!("Get {}: unsupported protocol scheme {}", quoted(&words.join(glue)), quoted(&words.concat()));
        prop_assert_eq!(classify(&message), Class::Other, "{}", message);
    }

    #[test]
    fn no_stderr_makes_it_panic(stderr: Vec<u8>) {
        let _any = explain(&Ran { exit: Exit::Signal(9), stdout: Vec::new(), stderr });
    }
}
