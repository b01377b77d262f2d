//! Registries that repeat what they were sent, or redirect to a signed URL: no secret is in
//! the log or in any output.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use skopeo_index::os::best_effort;
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

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

/// Nothing but the client's own knowledge tells that it is a secret. Where skopeo is asked
/// after the client, it gets the same one.
#[test]
fn token_like_a_word_that_the_client_got_is_redacted() {
    for engine in ["registry", "auto"] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.require("Bearer plain-word", Behaviour::bearer(registry.address()));
        registry.put_as("/token", r#"{"token":"plain-word"}"#);
        let error = Behaviour::error("403 Forbidden", "DENIED", "not with plain-word, sir");
        registry.behave(&digest, error);
        let log = cache.beside("log");
        let mut fetch = cache.command(["fetch", "--tls-verify=false", "--engine", engine]);
        fetch.arg("--audit-log").arg(&log);
        fetch.arg(format!("{}/app@{digest}", registry.address()));
        let output = finish(&mut fetch);
        output.assert_status(12).assert_says("not with ***, sir");
        let recorded = fs::read_to_string(log).expect("a log");
        assert!(recorded.contains("not with ***, sir"), "{recorded}");
        for text in [&output.stdout, &output.stderr, &recorded] {
            assert!(!text.contains("plain-word"), "{engine}: {text}");
        }
    }
}

/// Fetches with `--debug`, a credentials file and an audit log.
#[track_caller]
fn fetch_logged(cache: &Cache, auth: &Path, log: &Path, reference: &str) -> RunOutput {
    let mut fetch = cache.command(["fetch", "--tls-verify=false", "--debug", reference]);
    fetch.arg("--authfile").arg(auth);
    fetch.arg("--audit-log").arg(log);
    finish(&mut fetch)
}

/// skopeo reads files that the gate refuses.
#[test]
fn password_of_a_file_that_only_skopeo_accepts_is_redacted() {
    let digest = test_support::loopback::digest(b"any");
    let registry = echoing_registry("Basic", "403 Forbidden", Echo::Json);
    let auth = format!("\"auth\":\"{BASIC}\"");
    let members = format!("\"{registry}\":{{{auth}}}");
    for file in [
        format!("{{\"auths\":{{\"other\":null,{members}}}}}").into_bytes(),
        format!("{{\"Auths\":{{\"{registry}\":{{\"Auth\":\"{BASIC}\"}}}}}}").into_bytes(),
        format!("{{\"auths\":{{{members}}},\"auths\":{{}}}}").into_bytes(),
        format!("{{\"auths\":{{{members}}},\"x\":\"\\ud83d\"}}").into_bytes(),
        format!("{{\"auths\":{{{}}}}}", members.replace("Y29", "Y29\\n")).into_bytes(),
        [
            format!("{{\"auths\":{{{members}}},\"x\":\"").as_bytes(),
            b"\xe9\"}",
        ]
        .concat(),
        format!(
            "{{\"auths\":{{{members}}},\"x\":\"{}\"}}",
            "y".repeat(1 << 21)
        )
        .into_bytes(),
    ] {
        let cache = Cache::new();
        let (auth, log) = (cache.beside("auth.json"), cache.beside("log"));
        fs::write(&auth, &file).expect("a file");
        let output = fetch_logged(&cache, &auth, &log, &format!("{registry}/app@{digest}"));
        output
            .assert_status(12)
            .assert_says("denied: Basic *** *** ***");
        let recorded = fs::read_to_string(log).expect("a log");
        for text in [&output.stderr, &output.stdout, &recorded] {
            assert!(!text.contains("correct horse"), "{text}");
        }
    }
}

/// skopeo before 1.11 reads the default files where an explicit one has no entry.
#[test]
fn password_of_a_default_file_beside_an_explicit_one_is_redacted() {
    let digest = test_support::loopback::digest(b"any");
    let registry = echoing_registry("Basic", "403 Forbidden", Echo::Json);
    for default in ["docker/config.json", "config/containers/auth.json"] {
        let cache = Cache::new();
        let (path, log) = (cache.beside(default), cache.beside("log"));
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        let auths = serde_json::json!({ "auths": { &registry: { "auth": BASIC } } });
        fs::write(&path, auths.to_string()).expect("a file");
        let mut fetch = cache.command(["fetch", "--tls-verify=false", "--debug"]);
        fetch
            .env("DOCKER_CONFIG", cache.beside("docker"))
            .env("XDG_CONFIG_HOME", cache.beside("config"))
            .arg("--audit-log")
            .arg(&log);
        fetch.arg(format!("{registry}/app@{digest}"));
        let output = finish(&mut fetch);
        output.assert_status(12);
        let recorded = fs::read_to_string(log).expect("a log");
        for text in [&output.stderr, &output.stdout, &recorded] {
            assert!(!text.contains("correct horse"), "{text}");
        }
    }
}

/// A pipe can be read only once, by skopeo.
#[test]
fn message_is_withheld_if_its_secrets_cannot_be_read() {
    let digest = test_support::loopback::digest(b"any");
    let registry = echoing_registry("Basic", "403 Forbidden", Echo::Json);
    let cache = Cache::new();
    let (pipe, log) = (cache.beside("pipe"), cache.beside("log"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let auths = serde_json::json!({ "auths": { &registry: { "auth": BASIC } } });
    let writer = pipe.clone();
    std::thread::spawn(move || best_effort(fs::write(writer, auths.to_string())));
    let output = fetch_logged(&cache, &pipe, &log, &format!("{registry}/app@{digest}"));
    output
        .assert_status(12)
        .assert_says("message withheld: cannot read the secrets in ");
    let recorded = fs::read_to_string(log).expect("a log");
    for text in [&output.stderr, &output.stdout, &recorded] {
        assert!(!text.contains("correct horse"), "{text}");
    }
}

/// skopeo's line is longer than what is kept of one.
#[test]
fn long_text_of_a_registry_decides_no_kind_and_is_redacted() {
    for (repeated, says) in [
        (
            "level=fatal msg=EOF ",
            "manifest unknown: yyyyyyyyyyyyyylevel=fatal msg=EOF level",
        ),
        (
            "correct horse ",
            "manifest unknown: yyyyyyyyyyyyyy*** *** ***",
        ),
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        let message = "y".repeat(14) + &repeated.repeat(15_000);
        let error = Behaviour::error("404 Not Found", "MANIFEST_UNKNOWN", &message);
        registry.behave(&digest, error);
        let (auth, log) = (cache.beside("auth.json"), cache.beside("log"));
        let auths = serde_json::json!({ "auths": { "other": { "auth": BASIC } } });
        fs::write(&auth, auths.to_string()).expect("a file");
        let output = fetch_logged(
            &cache,
            &auth,
            &log,
            &format!("{}/app@{digest}", registry.address()),
        );
        output.assert_status(13).assert_says(says);
        let recorded = fs::read_to_string(log).expect("a log");
        for text in [&output.stderr, &output.stdout, &recorded] {
            assert!(!text.contains("corr") && !text.contains("orse"), "{text}");
        }
    }
}

#[test]
fn percent_encoded_password_of_a_proxy_is_redacted() {
    let proxy = echoing_proxy();
    let (cache, digest) = (Cache::new(), test_support::loopback::digest(b"any"));
    let log = cache.beside("log");
    let mut fetch = cache.command(["fetch", "--debug", "--retry-times=0"]);
    fetch.env("HTTPS_PROXY", format!("http://bob:p%40ssw%2Frd@{proxy}"));
    fetch.arg("--audit-log").arg(&log);
    fetch.arg(format!("registry.example/app@{digest}"));
    let output = finish(&mut fetch);
    output.assert_says("sent ***");
    let recorded = fs::read_to_string(log).expect("a log");
    for text in [&output.stderr, &output.stdout, &recorded] {
        for secret in ["p@ssw/rd", "Ym9iOnBAc3N3L3Jk"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

/// A proxy whose refusal repeats the credentials, in a reason phrase, which Go shows.
fn echoing_proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let sent = lines
                .filter_map(|line| Some(line.split_once("-Authorization: Basic ")?.1.to_owned()));
            let sent = sent.take(1).next().unwrap_or_default();
            best_effort(write!(
                stream,
                "HTTP/1.1 403 sent {sent} p@ssw/rd\r\nContent-Length: 0\r\n\r\n"
            ));
        }
    });
    address
}
