//! Fetches from misbehaving registries end, with the right exit status, and leave neither
//! an object nor a staging directory.

use test_support::loopback::{Behaviour, CONNECT, PING, Registry, TOKEN, samples};
use test_support::program::harness::{Cache, RunOutput};

/// Two attempts, for misbehaviour that ends a command at once.
const LONG_LIMITS: [&str; 2] = ["--retry-times=1", "--deadline=60s"];

/// Two attempts, each too short for a slow or silent registry.
const SHORT_LIMITS: [&str; 3] = ["--retry-times=1", "--command-timeout=1s", "--deadline=60s"];

/// Exit status of transient failures in every attempt.
const TRANSIENT: i32 = 14;

/// Asserts that both methods fail with `status`, and leave the cache empty.
#[track_caller]
fn assert_rejected(registry: &Registry, digest: &str, status: i32) -> RunOutput {
    assert_rejected_by_method(registry, digest, [status, status])
}

/// With an exit status for `raw` and one for `copy`, which may fail earlier. Returns the
/// output of `raw`.
#[track_caller]
fn assert_rejected_by_method(registry: &Registry, digest: &str, statuses: [i32; 2]) -> RunOutput {
    let mut first = None;
    for (method, status) in ["raw", "copy"].into_iter().zip(statuses) {
        let cache = Cache::new();
        let reference = format!("{}/app@{digest}", registry.address());
        let mut args = vec![reference.as_str(), "--method", method];
        if status == TRANSIENT {
            args.extend(SHORT_LIMITS);
        } else {
            args.extend(LONG_LIMITS);
        }
        let output = cache.fetch(&args);
        output.assert_status(status);
        cache.assert_empty();
        first.get_or_insert(output);
    }
    first.expect("two methods")
}

#[track_caller]
fn assert_behaviour_rejected(behaviour: Behaviour, status: i32) -> RunOutput {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(&digest, behaviour);
    assert_rejected(&registry, &digest, status)
}

/// Asserts that a document is rejected at a digest that is not its own.
#[track_caller]
fn assert_rejected_at_other_digest(document: Vec<u8>, status: i32) -> RunOutput {
    let registry = Registry::start();
    let digest = test_support::loopback::digest(b"the requested document");
    registry.put_as(&digest, document);
    assert_rejected(&registry, &digest, status)
}

#[track_caller]
fn assert_document_rejected(document: Vec<u8>, status: i32) -> RunOutput {
    let registry = Registry::start();
    let digest = registry.put(document);
    assert_rejected(&registry, &digest, status)
}

#[test]
fn digest_mismatch_is_rejected() {
    assert_rejected_at_other_digest(samples::oci_index(2), 10).assert_says("digest mismatch");
}

#[test]
fn single_image_is_not_an_index() {
    let registry = Registry::start();
    let digest = registry.put(samples::single_image());
    // Its blob, so that `skopeo copy` succeeds.
    registry.put("{}");
    assert_rejected(&registry, &digest, 11).assert_says("single image");
}

#[test]
fn index_and_image_at_once_is_ambiguous() {
    assert_document_rejected(samples::both_at_once(), 11).assert_says("ambiguous");
}

#[test]
fn document_with_forged_skopeo_digest_is_rejected() {
    // skopeo computes the requested digest for it; SHA-256 of its bytes is another.
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
        "the forgery must deceive `skopeo manifest-digest`"
    );
    // `skopeo copy` serializes it again, as an index with another digest.
    assert_rejected(&registry, &digest, 10).assert_says("and the bytes are not an index: ");
}

#[test]
fn schema_version_1_with_manifests_is_not_an_index() {
    let registry = Registry::start();
    let digest = registry.put(r#"{"schemaVersion":1,"manifests":[],"signatures":[]}"#);
    assert_rejected_by_method(&registry, &digest, [11, 10]);
}

#[test]
fn body_that_is_not_json_is_not_an_index() {
    assert_document_rejected(b"<html>".to_vec(), 11);
}

#[test]
fn body_without_end_is_not_an_index() {
    assert_behaviour_rejected(Behaviour::EndlessBody, 11);
}

#[test]
fn body_cut_short_exhausts_retries() {
    assert_behaviour_rejected(Behaviour::CutShort, TRANSIENT).assert_says("after 2 attempts");
}

#[test]
fn body_dripping_slowly_is_a_timeout() {
    assert_behaviour_rejected(Behaviour::SlowDrip, TRANSIENT).assert_says("no exit within 1s");
}

#[test]
fn silent_registry_is_a_timeout() {
    assert_behaviour_rejected(Behaviour::Silence, TRANSIENT).assert_says("no exit within 1s");
}

#[test]
fn status_429_exhausts_retries() {
    assert_behaviour_rejected(Behaviour::too_many_requests(None), TRANSIENT);
}

#[test]
fn status_429_with_long_retry_after_exhausts_retries() {
    assert_behaviour_rejected(Behaviour::too_many_requests(Some(60)), TRANSIENT)
        .assert_says("rate limited: no exit within 1s")
        .assert_says("hint: log in with `skopeo login --tls-verify=false 127.0.0.1:");
}

#[test]
fn status_500_exhausts_retries() {
    assert_behaviour_rejected(Behaviour::status("500 Internal Server Error"), TRANSIENT);
}

#[test]
fn status_503_exhausts_retries() {
    assert_behaviour_rejected(Behaviour::status("503 Service Unavailable"), TRANSIENT);
}

#[test]
fn status_404_is_not_found() {
    assert_behaviour_rejected(Behaviour::not_found(), 13);
}

#[test]
fn status_404_without_body_is_not_found() {
    assert_behaviour_rejected(Behaviour::status("404 Not Found"), 13);
}

#[test]
fn status_401_is_an_authentication_error() {
    assert_behaviour_rejected(Behaviour::unauthorized(), 12);
}

#[test]
fn redirect_loop_fails() {
    assert_behaviour_rejected(Behaviour::RedirectLoop, 1).assert_says("redirects");
}

#[test]
fn error_text_is_escaped_and_does_not_decide_the_failure_kind() {
    let text = "\u{1b}[31mred\u{7}: toomanyrequests: unauthorized\u{202e}";
    let output = assert_behaviour_rejected(Behaviour::error("418 I'm a teapot", "X", text), 1);
    output.assert_says(r"\u{1b}[31mred\u{7}");
    let visible = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
    assert!(output.stderr.chars().all(visible), "{output:?}");
}

#[test]
fn silence_after_connect_is_a_timeout() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(CONNECT, Behaviour::Silence);
    assert_rejected(&registry, &digest, TRANSIENT).assert_says("no exit within 1s");
    assert_ne!(registry.requests(CONNECT), 0);
}

#[test]
fn ping_failure_has_exit_status_by_kind() {
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
        assert_rejected(&registry, &digest, status);
        assert_ne!(registry.requests(PING), 0);
    }
}

/// skopeo reads only the head of the response.
#[test]
fn ping_without_end_does_not_stop_the_fetch() {
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
fn token_failure_has_exit_status_by_kind() {
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
        assert_rejected(&registry, &digest, status);
        assert_ne!(registry.requests(TOKEN), 0);
    }
}

/// Shows that the failures above are due to the misbehaviour.
#[test]
fn bearer_token_auth_succeeds() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.behave(PING, Behaviour::bearer(registry.address()));
    registry.put_as(TOKEN, r#"{"token":"x"}"#);
    let reference = format!("{}/app@{digest}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    assert_eq!(registry.requests(TOKEN), 1);
}

#[test]
fn connection_refused_exhausts_retries() {
    let cache = Cache::new();
    let reference = format!("127.0.0.1:1/app@{}", test_support::loopback::digest(b""));
    cache
        .fetch(&[&reference, "--retry-times=1"])
        .assert_status(TRANSIENT);
    cache.assert_empty();
}

#[test]
fn deadline_exceeded_sets_exit_status_and_counts_cancelled_fetches() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    // The first request fails at once; the deadline still sets the exit status.
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
    let error = format!(
        "error: deadline exceeded: 3 of 4 not fetched (first: {})\n",
        silent[0]
    );
    cache.fetch(&args).assert_status(124).assert_says(&error);
    cache.assert_empty();
    args.push("--quiet");
    cache.fetch(&args).assert_status(124).assert_says(&error);
}
