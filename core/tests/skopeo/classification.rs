//! Classification of messages, by what skopeo and registries are known to write.

use skopeo_index_core::machine::FailureKind;
use skopeo_index_core::skopeo::stderr::classify;

use crate::{D, kind_at_registry, kind_of};

/// Written by skopeo 1.9.3 against misbehaving registries.
#[test]
fn registry_errors_are_classified() {
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
        ("unavailable: manifest unknown", FailureKind::Server),
        ("manifest invalid: EOF", FailureKind::Other),
        ("unknown: m", FailureKind::Other),
        (
            "Get \"http://b/x\": dial tcp 127.0.0.1:1: connect: connection refused",
            FailureKind::Network,
        ),
        (
            "Get \"http://b/x\": x509: certificate has expired or is not yet valid: x",
            FailureKind::TlsExpired,
        ),
    ];
    for (text, kind) in table {
        assert_eq!(kind_at_registry(text), kind, "{text}");
    }
}

#[test]
fn other_failures_are_classified() {
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
            FailureKind::NoRegistry,
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
            FailureKind::TlsAuthority,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": tls: first record does not look like a TLS handshake",
            FailureKind::NotTls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": first record does not look like a TLS handshake",
            FailureKind::NotTls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": remote error: tls: bad certificate",
            FailureKind::Tls,
        ),
        (
            "pinging container registry a: Get \"https://a/v2/\": http: server gave HTTP response to HTTPS client",
            FailureKind::PlainHttp,
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
    for (text, kind) in table {
        assert_eq!(kind_of(text), kind, "{text}");
    }
}

/// Written by skopeo 1.9.3 with mirrors in registries.conf.
#[test]
fn primary_registry_decides_the_kind_and_mirrors_do_not() {
    let refused = "pinging container registry a: Get \"http://a/v2/\": dial tcp 127.0.0.1:1: connect: connection refused";
    let at = |text: &str| format!("reading manifest {D} in b/x: {text}");
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
            at("unknown: m"),
            FailureKind::Other,
        ),
    ];
    for (mirrors, primary, kind) in table {
        let mirrors: Vec<_> = mirrors
            .iter()
            .map(|text| format!("[b/x@{D}: {text}]"))
            .collect();
        let text = format!(
            "(Mirrors also failed: {}): a/x@{D}: {primary}",
            mirrors.join("\n")
        );
        assert_eq!(kind_of(&text), kind, "{text}");
        let copied = format!("initializing source docker://a/x@{D}: {text}");
        assert_eq!(classify(&copied), kind, "{copied}");
    }
    // Only skopeo's own report of failed mirrors counts.
    let words = "(Mirrors also failed: [a: b]): c: manifest unknown";
    for text in [
        at(&format!("unknown: {words}")),
        format!("Get \"http://a/?{words}\": unsupported protocol scheme \"\""),
    ] {
        assert_eq!(kind_of(&text), FailureKind::Other, "{text}");
    }
    let text = format!("unable to retrieve auth token: invalid username/password: {words}");
    assert_eq!(kind_of(&text), FailureKind::Authentication, "{text}");
}

/// From 1.10 on (containers/image 5.23), a code with its usual message is left out. The
/// texts are from the tests of containers/image.
#[test]
fn messages_without_a_code_of_newer_skopeo_are_classified() {
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
        ("unknown: 404 page not found", FailureKind::NotFound),
        ("unknown: Unknown tag", FailureKind::NotFound),
        ("unknown: repository does not exist", FailureKind::NotFound),
        (
            "unknown: repository a/b does not exist",
            FailureKind::NotFound,
        ),
        (
            "unknown: current image with 1 vulnerabilities cannot be pulled due to configured policy in 'x'",
            FailureKind::Authentication,
        ),
        // With a suffix, it isn't the whole message of a code.
        ("too many requests: x", FailureKind::Other),
        ("authentication required: x", FailureKind::Other),
        ("unknown: too many requests", FailureKind::Other),
    ];
    for (text, kind) in table {
        assert_eq!(kind_at_registry(text), kind, "{text}");
    }
}

/// Docker Hub answers with two errors for a missing repository.
#[test]
fn first_of_several_errors_decides_the_kind() {
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
    for (text, kind) in table {
        assert_eq!(kind_at_registry(text), kind, "{text}");
    }
}

#[test]
fn words_of_a_registry_or_proxy_that_are_skopeos_own_decide_nothing() {
    let v1 = "can't talk to a V1 container registry";
    let answer = format!("reading manifest {D} in r.example/x: ");
    let table = [
        (
            format!("{answer}manifest unknown: {v1}"),
            FailureKind::NotFound,
        ),
        (format!("{answer}denied: {v1}"), FailureKind::Authentication),
        (v1.to_owned(), FailureKind::Server),
        (
            "Get \"https://r.example/v2/\": invalid username/password".to_owned(),
            FailureKind::Proxy,
        ),
    ];
    for (message, kind) in table {
        assert_eq!(kind_of(&message), kind, "{message}");
    }
}

/// Go shows the phrase alone, whatever it is, and only of a request by HTTPS.
#[test]
fn any_single_phrase_after_a_request_by_https_is_the_proxys() {
    let https = "pinging container registry a: Get \"https://a/v2/\":";
    let http = "pinging container registry a: Get \"http://a/v2/\":";
    for (text, kind) in [
        (
            format!("{https} Access denied by policy"),
            FailureKind::Proxy,
        ),
        (
            format!("{https} authentication required"),
            FailureKind::Proxy,
        ),
        (format!("{https} Connection refused"), FailureKind::Proxy),
        (format!("{https} no route to host"), FailureKind::Proxy),
        (format!("{https} unknown status code"), FailureKind::Proxy),
        (format!("{https} "), FailureKind::Proxy),
        (https.to_owned(), FailureKind::Proxy),
        (
            format!("{https} Bad Gateway"),
            FailureKind::ProxyUnavailable,
        ),
        (
            format!("{https} stopped after 10 redirects"),
            FailureKind::Other,
        ),
        (
            format!("{https} 301 response missing Location header"),
            FailureKind::Other,
        ),
        (
            format!("{https} malformed HTTP response \"x\""),
            FailureKind::Other,
        ),
        (
            format!("{https} http2: something else"),
            FailureKind::Network,
        ),
        (format!("{https} EOF"), FailureKind::Network),
        (
            format!("{http} Access denied by policy"),
            FailureKind::Other,
        ),
    ] {
        assert_eq!(kind_of(&text), kind, "{text}");
    }
}

#[test]
fn only_rate_limit_server_network_proxy_and_timeout_failures_are_transient() {
    let transient = [
        FailureKind::RateLimited,
        FailureKind::Server,
        FailureKind::Network,
        FailureKind::ProxyUnavailable,
        FailureKind::Timeout,
    ];
    let permanent = [
        FailureKind::CredentialsFile,
        FailureKind::CredentialHelper,
        FailureKind::TlsAuthority,
        FailureKind::TlsExpired,
        FailureKind::TlsHostName,
        FailureKind::TlsNoSan,
        FailureKind::NotTls,
        FailureKind::Proxy,
        FailureKind::NoRegistry,
        FailureKind::NotFound,
        FailureKind::Authentication,
        FailureKind::Tls,
        FailureKind::PlainHttp,
        FailureKind::DigestMismatch,
        FailureKind::NotAnIndex,
        FailureKind::TooLarge,
        FailureKind::SkopeoNotFound,
        FailureKind::SkopeoNotStarted,
        FailureKind::Other,
    ];
    for kind in transient {
        assert!(kind.is_transient(), "{kind:?}");
    }
    for kind in permanent {
        assert!(!kind.is_transient(), "{kind:?}");
    }
}

#[test]
fn message_of_many_parts_is_classified_on_a_small_stack() {
    let message = format!("{}EOF", "a: ".repeat(20_000));
    let classify = move || classify(&message);
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    let kind = thread.spawn(classify).expect("a thread").join();
    assert_eq!(kind.expect("no panic"), FailureKind::Other);
}
