//! What skopeo's failures mean.

use proptest::prelude::*;
use skopeo_index::machine::{Class, Retry, Trouble};
use skopeo_index::skopeo::failure::{classify, explain, fatal_message};
use skopeo_index::skopeo::{Exit, Ran};

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Messages of skopeo 1.9.3, behind what names the image.
#[test]
fn every_known_message_has_its_class() {
    let at_registry = format!("reading manifest {D} in 127.0.0.1:5000/x: ");
    let table = [
        ("manifest unknown", Class::NotFound),
        ("manifest unknown: manifest unknown", Class::NotFound),
        ("name unknown", Class::NotFound),
        ("StatusCode: 404, ", Class::NotFound),
        ("StatusCode: 418, manifest unknown", Class::Other),
        ("unauthorized", Class::Authentication),
        (
            "unauthorized: authentication required",
            Class::Authentication,
        ),
        ("denied: no", Class::Authentication),
        ("toomanyrequests: slow down", Class::RateLimited),
        (
            "received unexpected HTTP status: 503 Service Unavailable",
            Class::Server,
        ),
        ("manifest invalid: manifest unknown", Class::Other),
        ("unknown: toomanyrequests", Class::Other),
        (
            "unknown: x: unauthorized: authentication required",
            Class::Other,
        ),
        ("unknown: unexpected EOF", Class::Other),
        ("unknown: connection refused", Class::Other),
    ];
    let elsewhere = [
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
            "pinging container registry a: Get \"https://a/v2/\": http: server gave HTTP response to HTTPS client",
            Class::Tls,
        ),
        (
            "pinging container registry a: invalid status code from registry 503 (Service Unavailable)",
            Class::Server,
        ),
        (
            "Get \"http://a/v2/x\": context deadline exceeded",
            Class::Network,
        ),
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
    let image = format!("Error parsing image name \"docker://127.0.0.1:5000/x@{D}\": ");
    for (said, class) in table {
        assert_eq!(
            classify(&format!("{image}{at_registry}{said}")),
            class,
            "{said}"
        );
    }
    for (said, class) in elsewhere {
        assert_eq!(classify(&format!("{image}{said}")), class, "{said}");
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

fn failed(stderr: &str) -> Ran {
    Ran {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr: stderr.as_bytes().to_vec(),
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
    #![proptest_config(crate::regressions("proptest-regressions/skopeo.txt"))]

    #[test]
    fn what_go_quotes_is_read_back(text: String) {
        let line = format!("time=\"now\" level=fatal msg={}", quoted(&text));
        prop_assert_eq!(fatal_message(&line), Some(text));
    }

    #[test]
    fn what_a_registry_says_behind_its_code_changes_no_class(said: String, tail in prop::sample::select(vec![
        "toomanyrequests", "unauthorized: authentication required", "manifest unknown", "x509: bad", "connection refused", "unexpected EOF",
    ])) {
        let message = format!("reading manifest {D} in a/b: unknown: {said}: {tail}");
        prop_assert_eq!(classify(&message), Class::Other);
    }

    #[test]
    fn no_stderr_makes_it_panic(stderr: Vec<u8>) {
        let _any = explain(&Ran { exit: Exit::Signal(9), stdout: Vec::new(), stderr });
    }
}
