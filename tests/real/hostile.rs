//! Registries that don't: the right exit status, nothing in the cache, nothing
//! left over, and an end.

use test_support::loopback::{Behaviour, CONNECT, PING, Registry, TOKEN, samples};

use crate::harness::Cache;
use crate::harness::Ended;

/// Two attempts, where each ends of itself.
const PATIENT: [&str; 2] = ["--retry-times=1", "--deadline=60s"];

/// Two attempts with time for neither a slow nor a silent registry.
const IMPATIENT: [&str; 3] = ["--retry-times=1", "--command-timeout=1s", "--deadline=60s"];

/// The status of transient failures, and a machine that is slow is one.
const TRANSIENT: i32 = 14;

#[track_caller]
fn refused(registry: &Registry, digest: &str, status: i32) -> Ended {
    refused_by(registry, digest, [status, status])
}

/// With a status for each of the methods: `copy` may stumble earlier.
#[track_caller]
fn refused_by(registry: &Registry, digest: &str, statuses: [i32; 2]) -> Ended {
    let mut last = None;
    for (method, status) in ["raw", "copy"].into_iter().zip(statuses) {
        let cache = Cache::new();
        let reference = format!("{}/app@{digest}", registry.address());
        let mut args = vec![reference.as_str(), "--method", method];
        if status == TRANSIENT {
            args.extend(IMPATIENT);
        } else {
            args.extend(PATIENT);
        }
        let ran = cache.fetch(&args);
        ran.assert_status(status);
        cache.assert_nothing_kept();
        last.get_or_insert(ran);
    }
    last.expect("two methods")
}

#[track_caller]
fn refused_for(behaviour: Behaviour, status: i32) -> Ended {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(&digest, behaviour);
    refused(&registry, &digest, status)
}

/// Serves a document under another's digest.
#[track_caller]
fn refused_as_other(document: Vec<u8>, status: i32) -> Ended {
    let registry = Registry::start();
    let digest = test_support::loopback::digest(b"what was asked for");
    registry.put_as(&digest, document);
    refused(&registry, &digest, status)
}

#[track_caller]
fn refused_itself(document: Vec<u8>, status: i32) -> Ended {
    let registry = Registry::start();
    let digest = registry.put(document);
    refused(&registry, &digest, status)
}

#[test]
fn another_index_than_the_digest() {
    refused_as_other(samples::oci_index(2), 10).assert_says("digest mismatch");
}

#[test]
fn a_single_image() {
    let registry = Registry::start();
    let digest = registry.put(samples::single_image());
    // Its blobs are there, so that `skopeo copy` copies it.
    registry.put("{}");
    refused(&registry, &digest, 11).assert_says("single image");
}

#[test]
fn an_index_and_an_image_at_once() {
    refused_itself(samples::both_at_once(), 11).assert_says("ambiguous");
}

#[test]
fn a_document_whose_digest_skopeo_is_lied_to_about() {
    // Its digest by skopeo is the one asked for, and by SHA-256 it isn't.
    let registry = Registry::start();
    let payload = String::from_utf8(samples::oci_index(1)).expect("JSON");
    let digest = test_support::loopback::digest(payload.as_bytes());
    registry.put_as(&digest, samples::forged(&payload));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), samples::forged(&payload)).expect("a file");
    let skopeo = test_support::loopback::run(
        "skopeo",
        &["manifest-digest", file.path().to_str().expect("UTF-8")],
    );
    assert_eq!(
        String::from_utf8_lossy(&skopeo).trim(),
        digest,
        "skopeo is not lied to"
    );
    // By the three commands it is written anew, as an index with another digest.
    refused_by(&registry, &digest, [11, 10]);
}

#[test]
fn a_document_of_version_1_that_calls_itself_an_index() {
    let registry = Registry::start();
    let digest = registry.put(r#"{"schemaVersion":1,"manifests":[],"signatures":[]}"#);
    refused_by(&registry, &digest, [11, 10]);
}

#[test]
fn something_that_is_no_json() {
    refused_itself(b"<html>".to_vec(), 11);
}

#[test]
fn an_endless_body() {
    refused_for(Behaviour::EndlessBody, 11);
}

#[test]
fn a_body_cut_short() {
    refused_for(Behaviour::CutShort, TRANSIENT).assert_says("after 2 attempts");
}

#[test]
fn a_slow_drip() {
    refused_for(Behaviour::SlowDrip, TRANSIENT).assert_says("no end after 1s");
}

#[test]
fn silence() {
    refused_for(Behaviour::Silence, TRANSIENT).assert_says("no end after 1s");
}

#[test]
fn too_many_requests() {
    refused_for(Behaviour::too_many_requests(None), TRANSIENT);
}

#[test]
fn too_many_requests_for_a_long_time() {
    refused_for(Behaviour::too_many_requests(Some(60)), TRANSIENT);
}

#[test]
fn status_500() {
    refused_for(Behaviour::status("500 Internal Server Error"), TRANSIENT);
}

#[test]
fn status_503() {
    refused_for(Behaviour::status("503 Service Unavailable"), TRANSIENT);
}

#[test]
fn status_404() {
    refused_for(Behaviour::not_found(), 13);
}

#[test]
fn status_404_without_a_word() {
    refused_for(Behaviour::status("404 Not Found"), 13);
}

#[test]
fn status_401() {
    refused_for(Behaviour::unauthorized(), 12);
}

#[test]
fn redirects_in_a_loop() {
    refused_for(Behaviour::RedirectLoop, 1).assert_says("redirects");
}

#[test]
fn an_error_text_neither_reaches_the_terminal_nor_decides_the_class() {
    let text = "\u{1b}[31mred\u{7}: toomanyrequests: unauthorized\u{202e}";
    let ran = refused_for(Behaviour::error("418 I'm a teapot", "X", text), 1);
    ran.assert_says(r"\u{1b}[31mred\u{7}");
    let visible = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
    assert!(ran.stderr.chars().all(visible), "{ran:?}");
}

#[test]
fn silence_right_after_connect() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(CONNECT, Behaviour::Silence);
    refused(&registry, &digest, TRANSIENT).assert_says("no end after 1s");
    assert_ne!(registry.requests(CONNECT), 0);
}

#[test]
fn misbehaviour_at_the_ping() {
    let teapot = Behaviour::error("418 I'm a teapot", "X", "manifest unknown");
    for (behaviour, status) in [
        (Behaviour::Silence, TRANSIENT),
        (Behaviour::RedirectLoop, 1),
        (Behaviour::status("500 Internal Server Error"), TRANSIENT),
        (Behaviour::status("503 Service Unavailable"), TRANSIENT),
        (Behaviour::too_many_requests(Some(60)), TRANSIENT),
        (Behaviour::not_found(), 1),
        (teapot, 1),
    ] {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        registry.behave(PING, behaviour.clone());
        println!("{behaviour:?}");
        refused(&registry, &digest, status);
        assert_ne!(registry.requests(PING), 0);
    }
}

/// skopeo reads no more than the head of the answer, and asks on.
#[test]
fn a_ping_without_an_end_hinders_nobody() {
    for behaviour in [
        Behaviour::SlowDrip,
        Behaviour::EndlessBody,
        Behaviour::CutShort,
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(PING, behaviour);
        let reference = format!("{}/app@{digest}", registry.address());
        cache.fetch(&[&reference]).assert_status(0);
    }
}

#[test]
fn misbehaviour_where_the_token_is() {
    let teapot = Behaviour::error("418 I'm a teapot", "X", "manifest unknown");
    for (behaviour, status) in [
        (Behaviour::Silence, TRANSIENT),
        (Behaviour::SlowDrip, TRANSIENT),
        (Behaviour::EndlessBody, 1),
        (Behaviour::CutShort, TRANSIENT),
        (Behaviour::RedirectLoop, 1),
        (Behaviour::status("500 Internal Server Error"), TRANSIENT),
        (Behaviour::too_many_requests(Some(60)), TRANSIENT),
        (Behaviour::not_found(), 1),
        (Behaviour::unauthorized(), 12),
        (teapot, 1),
    ] {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        registry.behave(PING, Behaviour::bearer(registry.address()));
        registry.behave(TOKEN, behaviour.clone());
        println!("{behaviour:?}");
        refused(&registry, &digest, status);
        assert_ne!(registry.requests(TOKEN), 0);
    }
}

/// So that what is refused above is refused for its misbehaviour.
#[test]
fn a_token_that_is_sold_opens_the_registry() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.behave(PING, Behaviour::bearer(registry.address()));
    registry.put_as(TOKEN, r#"{"token":"x"}"#);
    let reference = format!("{}/app@{digest}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    assert_eq!(registry.requests(TOKEN), 1);
}

#[test]
fn nobody_there() {
    let cache = Cache::new();
    let reference = format!("127.0.0.1:1/app@{}", test_support::loopback::digest(b""));
    cache
        .fetch(&[&reference, "--retry-times=1"])
        .assert_status(TRANSIENT);
    cache.assert_nothing_kept();
}

#[test]
fn the_deadline_of_the_run_ends_it_and_what_it_stopped_is_told() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    // It fails first and at once, and the deadline's status wins all the same.
    let nowhere = "containers-storage:[overlay@/no/such/storage]localhost/app";
    let nowhere = format!("{nowhere}@{}", test_support::loopback::digest(b""));
    let silent: Vec<_> = (0..3)
        .map(|n| {
            let digest = registry.put(samples::distinct(n));
            registry.behave(&digest, Behaviour::Silence);
            of(&digest)
        })
        .collect();
    let mut args = vec![nowhere.as_str()];
    args.extend(silent.iter().map(String::as_str));
    args.extend(["--deadline=1s", "--jobs=2"]);
    let told = format!(
        "error: the deadline of the run has passed: 3 of 4 were not fetched, \
         the first of them {}\n",
        silent[0]
    );
    cache.fetch(&args).assert_status(124).assert_says(&told);
    cache.assert_nothing_kept();
    args.push("--quiet");
    cache.fetch(&args).assert_status(124).assert_says(&told);
}
