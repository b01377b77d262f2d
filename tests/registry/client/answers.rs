//! Answers that are endless, compressed, cut, too long, slow or not HTTP.

use test_support::loopback::{Behaviour, PING, Registry, TOKEN, Then, run, samples};
use test_support::program::harness::Cache;

use super::{ONE_ATTEMPT, assert_fails, fetch, fetch_once};

/// 64 MiB of zeros, compressed.
fn gzip_bomb() -> Behaviour {
    let body = run("sh", &["-c", "head -c 67108864 /dev/zero | gzip -9c"]);
    assert!(body.len() < 100 << 10, "small on the wire");
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ";
    let mut bytes = format!("{head}{}\r\n\r\n", body.len()).into_bytes();
    bytes.extend(body);
    Behaviour::Bytes(bytes, Then::Keep)
}

/// Begins like this, and repeats that.
fn endless(begin: &str, repeated: &str) -> Behaviour {
    let repeated = repeated.repeat((1 << 16) / repeated.len());
    Behaviour::Bytes(begin.into(), Then::Repeat(repeated.into_bytes()))
}

fn begins(begin: &str, then: Then) -> Behaviour {
    Behaviour::Bytes(begin.into(), then)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Answers to any request, and the exit status of the client for a manifest.
fn hostile() -> Vec<(&'static str, Behaviour, i32)> {
    let two_lengths = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}";
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    vec![
        (
            "headers without end",
            endless("HTTP/1.1 200 OK\r\n", "X-Y: zzzz\r\n"),
            1,
        ),
        (
            "header line without end",
            endless("HTTP/1.1 200 OK\r\nX-Y: ", "z"),
            1,
        ),
        ("status line without end", endless("HTTP/1.1 200 ", "z"), 1),
        (
            "interim answers without end",
            endless("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
            1,
        ),
        ("body without end", Behaviour::EndlessBody, 11),
        ("chunks without end", endless(CHUNKED, &chunk), 11),
        ("chunk size without end", endless(CHUNKED, "1"), 1),
        (
            "trailers without end",
            endless(&format!("{CHUNKED}0\r\n"), "X-Y: zzzz\r\n"),
            14,
        ),
        (
            "length beyond the limit",
            Behaviour::head(1 << 40, Then::Repeat(vec![b' '; 1 << 16])),
            11,
        ),
        ("gzip bomb", gzip_bomb(), 10),
        ("body cut short", Behaviour::CutShort, 14),
        (
            "body longer than said",
            begins(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}}}}",
                Then::Keep,
            ),
            10,
        ),
        ("two lengths", begins(two_lengths, Then::Silence), 1),
        (
            "drip in the head",
            begins("HTTP/1.1 200 OK\r\nX-Y: ", Then::Drip(b'z')),
            14,
        ),
        ("drip in the body", Behaviour::SlowDrip, 14),
        ("silence", Behaviour::Silence, 14),
        (
            "silence in the head",
            begins("HTTP/1.1 2", Then::Silence),
            14,
        ),
        ("silence in the body", Behaviour::head(9, Then::Silence), 14),
        ("closed", Behaviour::HangUp, 14),
        (
            "not HTTP",
            begins("SSH-2.0-OpenSSH_9.2\r\n\r\n", Then::Silence),
            1,
        ),
        ("status 204", Behaviour::status("204 No Content"), 1),
        ("status 206", Behaviour::status("206 Partial Content"), 1),
        ("status 999", Behaviour::status("999 What"), 1),
    ]
}

#[test]
fn hostile_answer_to_manifest_fails_in_bounded_memory() {
    for (name, behaviour, status) in hostile() {
        println!("{name}");
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        registry.behave(&digest, behaviour);
        assert_fails(&registry, &digest, status);
        assert_eq!(registry.requests(&digest), 1);
        let pings = registry.received();
        assert!(pings.iter().all(|request| request.target != PING));
    }
}

#[test]
fn hostile_answer_of_token_server_fails_in_bounded_memory() {
    for (name, behaviour, status) in hostile() {
        println!("{name}");
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        registry.behave(&digest, Behaviour::bearer(registry.address()));
        registry.behave(TOKEN, behaviour);
        // Other bytes are not a token, and no digest tells; nor is a token an index.
        let expected = if [10, 11].contains(&status) {
            1
        } else {
            status
        };
        let output = assert_fails(&registry, &digest, expected);
        if status == 11 {
            output.assert_says("unexpected answer: token document has more than 65536 bytes");
        }
        // The connection was kept: once it breaks, the request is repeated.
        assert!((1..=2).contains(&registry.requests(TOKEN)));
    }
}

#[test]
fn token_that_no_header_can_hold_is_not_sent() {
    let long = "x".repeat(20 << 10);
    for token in ["a\r\nX-Injected: b", "a b", "\u{e9}", "", "a\u{0}", &long] {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        registry.behave(&digest, Behaviour::bearer(registry.address()));
        let document = serde_json::json!({ "token": token });
        registry.put_as(TOKEN, document.to_string());
        assert_fails(&registry, &digest, 1);
        let received = registry.received();
        assert!(
            received
                .iter()
                .all(|request| request.authorization.is_none())
        );
    }
}

#[test]
fn challenge_that_is_malformed_is_not_followed() {
    for challenge in [
        "Bearer realm=\"http://127.0.0.1:1/a b\"",
        "Bearer realm=\"http://alice:secret@127.0.0.1:1/\"",
        "Bearer realm=\"file:///etc/passwd\"",
        "Bearer realm=\"http://127.0.0.1:1/\",realm=\"http://127.0.0.1:2/\"",
        "Bearer service=\"x\"",
        "Bearer realm=\"unclosed",
        &format!("Bearer realm=\"http://127.0.0.1:1/{}\"", "x".repeat(9000)),
    ] {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        let mut answer = Behaviour::unauthorized();
        if let Behaviour::Status { headers, .. } = &mut answer {
            *headers = vec![format!("WWW-Authenticate: {challenge}")];
        }
        registry.behave(&digest, answer);
        assert_fails(&registry, &digest, 1).assert_says("error: ");
        assert_eq!(registry.received().len(), 1);
    }
}

#[test]
fn name_that_would_inject_a_header_is_refused_without_a_connection() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    for path in [
        "app\r\nX-Y: z",
        "app HTTP/1.1\r\n",
        "app?x",
        "app#x",
        "../app",
        "app%0d%0a",
    ] {
        let cache = Cache::new();
        let reference = format!("{}/{path}@{digest}", registry.address());
        let args = [
            "fetch",
            "--engine=registry",
            "--tls-verify=false",
            &reference,
        ];
        cache.run(args).assert_status(2);
    }
    assert_eq!(registry.connections(), 0);
}

/// Bytes after an answer must not be taken for the next one.
#[test]
fn surplus_bytes_are_not_the_next_answer() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (first, second) = (samples::distinct(1), samples::distinct(2));
    let digests = [registry.put(first.clone()), registry.put(second)];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", first.len());
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let answer = [head.as_bytes(), &first, forged.as_bytes()].concat();
    registry.behave(&digests[0], Behaviour::Bytes(answer, Then::Keep));
    let options = [&ONE_ATTEMPT[..], &["--tls-verify=false", "--jobs=1"]].concat();
    let digests = digests.each_ref().map(String::as_str);
    super::run(&mut fetch(&cache, &registry, &digests, &options)).assert_status(0);
    assert_eq!(registry.connections(), 2);
}

#[test]
fn registry_error_text_is_escaped() {
    let text = "\u{1b}[31mred\u{7}\u{202e}";
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(&digest, Behaviour::error("403 Forbidden", "DENIED", text));
    let cache = Cache::new();
    let output = fetch_once(&cache, &registry, &digest);
    output.assert_status(12).assert_says(r"\u{1b}[31mred\u{7}");
    let visible = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
    assert!(output.stderr.chars().all(visible), "{output:?}");
}
