//! Registries that repeat what they were sent, or redirect to a signed URL: no secret is in
//! the log or in any output.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use skopeo_index::os::best_effort;
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::Cache;

use crate::finish;

/// "alice:correct horse", in base64.
const BASIC: &str = "YWxpY2U6Y29ycmVjdCBob3JzZQ==";

/// What a token service gives.
const TOKEN: &str = "Zx81opaque-token.0123456789";

/// How a registry answers to a request for a manifest.
#[derive(Clone, Copy, Debug)]
enum Echo {
    Json,
    Text,
}

/// A registry that repeats the credentials it was sent.
fn echoing_registry(scheme: &'static str, status: &'static str, echo: Echo) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let own = address.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (own, status) = (own.clone(), status);
            // The client may close at any time.
            std::thread::spawn(move || best_effort(serve(&stream, &own, scheme, status, echo)));
        }
    });
    address
}

fn serve(
    mut stream: &TcpStream,
    own: &str,
    scheme: &str,
    status: &str,
    echo: Echo,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut request, mut sent) = (String::new(), String::new());
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? <= 2 {
                break;
            }
            if let Some(credentials) = header.strip_prefix("Authorization: ") {
                credentials.trim().clone_into(&mut sent);
            }
        }
        let secrets = format!(
            "{sent} correct horse alice:correct horse {}",
            &sent[sent.find(' ').map_or(0, |at| at + 1)..]
        );
        let (status, header, body) = if request.contains("/token") {
            let token = serde_json::json!({ "token": TOKEN, "access_token": TOKEN });
            ("200 OK", String::new(), token.to_string())
        } else if sent.is_empty() {
            let challenge = match scheme {
                "Basic" => "Basic realm=\"x\"".to_owned(),
                _ => format!("Bearer realm=\"http://{own}/token\",service=\"x\""),
            };
            let header = format!("WWW-Authenticate: {challenge}\r\n");
            ("401 Unauthorized", header, String::new())
        } else {
            let body = match echo {
                Echo::Json => serde_json::json!({ "errors": [{ "code": "DENIED", "message": secrets, "detail": secrets }] }).to_string(),
                Echo::Text => secrets,
            };
            (status, String::new(), body)
        };
        let kind = if body.starts_with('{') {
            "application/json"
        } else {
            "text/plain"
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{header}Content-Length: {length}\r\n\r\n{body}"
        )?;
    }
}

/// Fetches, and asserts that no secret is in the log or in any output. Returns whether
/// something was redacted.
#[track_caller]
fn assert_no_secret(registry: &str, digest: &str, secrets: &[&str], context: &str) -> bool {
    let mut redacted = false;
    for (debug, format, progress, engine) in [
        ("true", "json", "json", "skopeo"),
        ("true", "text", "plain", "skopeo"),
        ("false", "json", "plain", "skopeo"),
        ("false", "text", "plain", "registry"),
        ("false", "json", "json", "auto"),
    ] {
        let cache = Cache::new();
        let (auth, log) = (cache.beside("auth.json"), cache.beside("log"));
        let auths = serde_json::json!({ "auths": { registry: { "auth": BASIC } } });
        fs::write(&auth, auths.to_string()).expect("a file");
        let mut fetch = cache.command(["fetch", "--tls-verify=false", "--retry-times=0"]);
        fetch
            .args(["--format", format, "--progress", progress])
            .arg("--authfile")
            .arg(auth)
            .arg("--audit-log")
            .arg(&log)
            .env("SKOPEO_INDEX_DEBUG", debug)
            .env("SKOPEO_INDEX_ENGINE", engine)
            .arg(format!("{registry}/app@{digest}"));
        let output = finish(&mut fetch);
        assert_ne!(output.status, Some(0), "{context}: {output:?}");
        let recorded = fs::read_to_string(log).expect("a log");
        for secret in secrets {
            for text in [&output.stdout, &output.stderr, &recorded] {
                assert!(!text.contains(secret), "{context}: {secret} in {text}");
            }
        }
        redacted |= output.stderr.contains("***");
    }
    redacted
}

#[test]
fn signed_url_of_a_redirect_is_redacted() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    // Port 1 refuses connections.
    let location =
        "Location: http://user:s3cr3t@127.0.0.1:1/v2/blob?X-Amz-Signature=5fd0c1&x='y#z1y2";
    registry.behave(
        &digest,
        Behaviour::Status {
            status: "307 Temporary Redirect",
            headers: vec![location.to_owned()],
            body: String::new(),
        },
    );
    let secrets = ["5fd0c1", "X-Amz", "s3cr3t", "z1y2", "'y"];
    let redacted = assert_no_secret(registry.address(), &digest, &secrets, "redirect");
    assert!(redacted, "the URL is repeated");
}

#[test]
fn echoed_credentials_are_redacted() {
    let digest = test_support::loopback::digest(b"any");
    let secrets = ["correct horse", BASIC, BASIC.trim_end_matches('='), TOKEN];
    for scheme in ["Basic", "Bearer"] {
        for status in [
            "403 Forbidden",
            "404 Not Found",
            "400 Bad Request",
            "500 Internal Server Error",
        ] {
            for echo in [Echo::Json, Echo::Text] {
                let registry = echoing_registry(scheme, status, echo);
                let context = format!("{scheme} {status} {echo:?}");
                let redacted = assert_no_secret(&registry, &digest, &secrets, &context);
                // skopeo repeats no body of a 500.
                assert!(redacted || status.starts_with('5'), "{context}");
            }
        }
    }
}

/// Nothing but the client's own knowledge tells that it is a secret.
#[test]
fn token_like_a_word_is_redacted_by_the_client() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.require("Bearer plain-word", Behaviour::bearer(registry.address()));
    registry.put_as("/token", r#"{"token":"plain-word"}"#);
    let error = Behaviour::error("403 Forbidden", "DENIED", "not with plain-word, sir");
    registry.behave(&digest, error);
    let log = cache.beside("log");
    let mut fetch = cache.command(["fetch", "--tls-verify=false", "--engine=registry"]);
    fetch.arg("--audit-log").arg(&log);
    fetch.arg(format!("{}/app@{digest}", registry.address()));
    let output = finish(&mut fetch);
    output.assert_status(12).assert_says("not with ***, sir");
    let recorded = fs::read_to_string(log).expect("a log");
    assert!(recorded.contains("not with ***, sir") && !recorded.contains("plain-word"));
}
