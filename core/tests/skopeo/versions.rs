//! Messages of several versions of skopeo: one failure has one kind, whatever the wording.

use skopeo_index_core::machine::{EffectError, FailureKind as Kind};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::skopeo::stderr::classify_exit;

use crate::{D, failed, quoted};

/// Of Debian 12: recorded from the real one, or composed as its containers/image does.
const V1_9: &str = "1.9.3";
/// Composed as containers/image 5.34 does, with the texts of Go 1.24.
const V1_18: &str = "1.18";
/// As [`V1_18`], by containers/image 5.36.
const V1_22: &str = "1.22";

#[test]
fn kind_does_not_depend_on_the_version() {
    let get = "pinging container registry r.example: Get \"https://r.example/v2/\": ";
    let read = format!("reading manifest {D} in r.example/x: ");
    let list = "getting username and password: 1 error occurred:\n\t* ";
    let creds = "getting username and password: ";
    let table: &[(&str, String, Kind)] = &[
        // A manifest's 404, in the forms that registries give it.
        (V1_9, format!("{read}manifest unknown: manifest unknown"), Kind::NotFound),
        (V1_18, format!("{read}manifest unknown"), Kind::NotFound),
        (V1_9, format!("{read}name unknown"), Kind::NotFound),
        (V1_18, format!("{read}repository name not known to registry"), Kind::NotFound),
        (V1_9, format!("{read}blob unknown"), Kind::NotFound),
        (V1_18, format!("{read}blob unknown to registry"), Kind::NotFound),
        (V1_9, format!("{read}unknown: artifact library/x:latest not found"), Kind::NotFound),
        (V1_22, format!("{read}unknown: artifact library/x:latest not found"), Kind::NotFound),
        (V1_9, format!("{read}unknown: Not Found"), Kind::NotFound),
        (V1_9, format!("{read}unknown: tag unknown"), Kind::NotFound),
        (V1_9, format!("{read}unknown: manifest unknown"), Kind::NotFound),
        (
            V1_9,
            format!("{read}unknown: Tag x was deleted or has expired. To pull, revive via time machine"),
            Kind::NotFound,
        ),
        (V1_9, format!("{read}StatusCode: 404, {{\"errors\":null}}"), Kind::NotFound),
        (V1_18, format!("{read}StatusCode: 404, \"<html>\""), Kind::NotFound),
        (V1_9, format!("{read}StatusCode: 410, gone"), Kind::NotFound),
        // A 404 of the ping or the token is not the manifest's.
        (
            V1_9,
            "pinging container registry r.example: invalid status code from registry 404 (Not Found)".into(),
            Kind::NoRegistry,
        ),
        (V1_18, "pinging container registry r.example: manifest unknown".into(), Kind::NoRegistry),
        (V1_18, "pinging container registry r.example: StatusCode: 404, \"x\"".into(), Kind::NoRegistry),
        (V1_18, "pinging container registry r.example: unknown: not found".into(), Kind::NoRegistry),
        (
            V1_9,
            "pinging container registry r.example: invalid status code from registry 418 (I'm a teapot)".into(),
            Kind::NoRegistry,
        ),
        (V1_9, "Requesting bearer token: invalid status code from registry 404 (Not Found)".into(), Kind::NoRegistry),
        (V1_18, "Requesting bearer token: received unexpected HTTP status: 404 Not Found".into(), Kind::NoRegistry),
        (V1_9, "invalid character '<' looking for beginning of value".into(), Kind::NoRegistry),
        (V1_9, "unexpected end of JSON input".into(), Kind::NoRegistry),
        (
            V1_18,
            "decoding bearer token (last URL \"http://a/token\", body start \"<html>\"): invalid character '<' looking for beginning of value".into(),
            Kind::NoRegistry,
        ),
        // Transient, in every phase.
        (V1_9, format!("{get}dial tcp: lookup r.example on 10.0.0.1:53: no such host"), Kind::Network),
        (V1_9, format!("{get}dial tcp: lookup r.example: Temporary failure in name resolution"), Kind::Network),
        (V1_18, format!("{get}dial tcp: lookup r.example on 10.0.0.1:53: server misbehaving"), Kind::Network),
        (V1_9, format!("{get}dial tcp 10.0.0.1:443: connect: connection timed out"), Kind::Network),
        (V1_9, format!("{get}dial tcp 10.0.0.1:443: connect: host is down"), Kind::Network),
        (V1_9, format!("{get}dial tcp 10.0.0.1:443: connect: no route to host"), Kind::Network),
        (V1_9, format!("{get}dial tcp 10.0.0.1:443: connect: cannot assign requested address"), Kind::Network),
        (V1_9, format!("{get}dial tcp 10.0.0.1:443: i/o timeout"), Kind::Network),
        (V1_9, format!("{get}EOF"), Kind::Network),
        (V1_9, format!("{get}read tcp 10.0.0.2:1->10.0.0.1:443: read: connection reset by peer"), Kind::Network),
        (V1_18, format!("{get}net/http: TLS handshake timeout"), Kind::Network),
        (V1_18, format!("{get}http2: server sent GOAWAY and closed the connection; LastStreamID=1"), Kind::Network),
        (
            V1_9,
            "pinging container registry r.example: invalid status code from registry 503 (Service Unavailable)".into(),
            Kind::Server,
        ),
        (
            V1_18,
            "pinging container registry r.example: received unexpected HTTP status: 503 Service Unavailable".into(),
            Kind::Server,
        ),
        (V1_9, "can't talk to a V1 container registry".into(), Kind::Server),
        (V1_9, "Requesting bearer token: invalid status code from registry 502 (Bad Gateway)".into(), Kind::Server),
        (V1_18, "Requesting bearer token: received unexpected HTTP status: 502 Bad Gateway".into(), Kind::Server),
        (V1_9, format!("{read}unavailable"), Kind::Server),
        (V1_18, format!("{read}service unavailable"), Kind::Server),
        // Rate limited.
        (V1_9, format!("{read}toomanyrequests: slow down"), Kind::RateLimited),
        (V1_18, format!("{read}too many requests"), Kind::RateLimited),
        (V1_18, format!("{read}StatusCode: 429, \"slow\""), Kind::RateLimited),
        (V1_9, "pinging container registry r.example: too many requests to registry".into(), Kind::RateLimited),
        (V1_18, "pinging container registry r.example: toomanyrequests: slow".into(), Kind::RateLimited),
        // Authentication and credentials.
        (V1_9, format!("{read}unauthorized: authentication required"), Kind::Authentication),
        (V1_18, format!("{read}authentication required"), Kind::Authentication),
        (V1_9, format!("{read}errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required\n"), Kind::Authentication),
        (V1_9, format!("{read}unknown: forbidden"), Kind::Authentication),
        (V1_22, format!("{read}unknown: Access to x is not allowed"), Kind::Authentication),
        (V1_18, "pinging container registry r.example: denied: no".into(), Kind::Authentication),
        (V1_18, "pinging container registry r.example: StatusCode: 403, \"\"".into(), Kind::Authentication),
        (
            V1_9,
            format!("{list}reading JSON file \"/a.json\": unmarshaling JSON at \"/a.json\": invalid character 'o'\n\n"),
            Kind::CredentialsFile,
        ),
        (V1_9, format!("{list}reading JSON file \"/a\": read /a: is a directory\n\n"), Kind::CredentialsFile),
        (V1_18, format!("{creds}reading JSON file \"/a\": open /a: permission denied"), Kind::CredentialsFile),
        (V1_9, format!("{list}illegal base64 data at input byte 0\n\n"), Kind::CredentialsFile),
        (
            V1_9,
            format!("{list}error getting credentials - err: exit status 1, out: `manifest unknown`\n\n"),
            Kind::CredentialHelper,
        ),
        (
            V1_18,
            format!("{creds}error getting credentials - err: exec: \"docker-credential-x\": executable file not found in $PATH, out: ``"),
            Kind::CredentialHelper,
        ),
        // The proxy.
        (V1_9, format!("{get}Proxy Authentication Required"), Kind::Proxy),
        (V1_9, format!("{get}Forbidden"), Kind::Proxy),
        (V1_9, format!("{get}unknown status code"), Kind::Proxy),
        (
            V1_9,
            "pinging container registry r.example: invalid status code from registry 407 (Proxy Authentication Required)".into(),
            Kind::Proxy,
        ),
        (V1_18, "pinging container registry r.example: StatusCode: 407, \"\"".into(), Kind::Proxy),
        (V1_18, format!("{get}proxyconnect tcp: tls: failed to verify certificate: x509: certificate signed by unknown authority"), Kind::Proxy),
        (V1_9, format!("{get}Bad Gateway"), Kind::ProxyUnavailable),
        (V1_9, format!("{get}Service Unavailable"), Kind::ProxyUnavailable),
        (V1_9, format!("{get}proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused"), Kind::ProxyUnavailable),
        (V1_9, format!("{get}proxyconnect tcp: dial tcp: lookup p.example on 10.0.0.1:53: no such host"), Kind::ProxyUnavailable),
        (V1_18, format!("{get}socks connect tcp 127.0.0.1:1->r.example:443: dial tcp 127.0.0.1:1: connect: connection refused"), Kind::ProxyUnavailable),
        // A proxy's own words are not the system's.
        (V1_9, format!("{get}connection refused"), Kind::Proxy),
        (V1_9, format!("{get}malformed HTTP response \"EOF\""), Kind::Other),
        (V1_9, format!("{get}net/http: HTTP/1.x transport connection broken: malformed MIME header initial line:  x: EOF"), Kind::Other),
        // TLS, by cause.
        (V1_9, format!("{get}x509: certificate signed by unknown authority"), Kind::TlsAuthority),
        (V1_18, format!("{get}tls: failed to verify certificate: x509: certificate signed by unknown authority"), Kind::TlsAuthority),
        (V1_9, format!("{get}x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is after 2025-01-01T00:00:00Z"), Kind::TlsExpired),
        (V1_18, format!("{get}tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2020-01-01T00:00:00Z is before 2025-01-01T00:00:00Z"), Kind::TlsExpired),
        (V1_9, format!("{get}x509: certificate is valid for a: x509: EOF, not r.example"), Kind::TlsHostName),
        (V1_9, format!("{get}x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs"), Kind::TlsNoSan),
        (V1_18, format!("{get}tls: failed to verify certificate: x509: certificate relies on legacy Common Name field, use SANs instead"), Kind::TlsNoSan),
        (V1_9, format!("{get}tls: first record does not look like a TLS handshake"), Kind::NotTls),
        (V1_9, format!("{get}http: server gave HTTP response to HTTPS client"), Kind::PlainHttp),
        (V1_9, format!("{get}remote error: tls: handshake failure"), Kind::Tls),
    ];
    for (version, text, kind) in table {
        assert_eq!(&crate::kind_of(text), kind, "skopeo {version}: {text}");
    }
}

/// skopeo checks the digest in `copy`, and from 1.19 on in `inspect --raw`.
#[test]
fn introduction_of_every_version_is_removed() {
    let mismatch = format!("Manifest does not match provided manifest digest {D}");
    for introduction in [
        format!("Error parsing image name \"docker://r.example:5000/x@{D}\": "),
        "Error retrieving manifest for image: ".to_owned(),
        format!("initializing source docker://r.example:5000/x@{D}: "),
    ] {
        let message = quoted(&format!("{introduction}{mismatch}"));
        let error = classify_exit(
            &failed(&format!("time=\"x\" level=fatal msg={message}")),
            &Redactor::default(),
        );
        let EffectError::Command { kind, message } = error else {
            panic!("{error}")
        };
        assert_eq!((kind, message), (Kind::DigestMismatch, mismatch.clone()));
    }
}

#[test]
fn list_of_errors_is_shown_in_one_line() {
    for (list, shown) in [
        ("2 errors occurred:\n\t* a: b\n\t* c\n\n", "a: b; c"),
        ("getting it: 1 error occurred:\n\t* a\n\n", "getting it: a"),
        ("an error occurred:\n\t* a", "an error occurred:\n\t* a"),
    ] {
        let message = quoted(list);
        let error = classify_exit(
            &failed(&format!("time=\"x\" level=fatal msg={message}")),
            &Redactor::default(),
        );
        let EffectError::Command { message, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(message, shown);
    }
}
