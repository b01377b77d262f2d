//! What `fetch` does with the object in the cache: hit, miss, corrupt.

use std::fs;

use test_support::loopback::{Registry, samples};
use test_support::program::harness::Cache;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn offline_miss_is_not_found_and_creates_no_cache() {
    let cache = Cache::new();
    let reference = format!("localhost/app@{DIGEST}");
    cache
        .fetch(&[&reference, "--offline"])
        .assert_status(13)
        .assert_says("offline");
    assert!(!cache.path().exists(), "a cache was created");
}

#[test]
fn hit_sends_no_request() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    cache
        .fetch(&[&reference, "--offline"])
        .assert_status(0)
        .assert_says("1 cached");
    assert_eq!(registry.requests(&digest), 1);
}

#[test]
fn corrupt_object_is_quarantined_and_fetched_again() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let document = samples::oci_index(2);
    let digest = registry.put(document.clone());
    let reference = format!("{}/app@{digest}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    fs::write(cache.object(&digest), "not what it was").expect("the object");

    cache.fetch(&[&reference, "--offline"]).assert_status(15);
    fs::write(cache.object(&digest), "nor what it should be").expect("the object");
    cache
        .fetch(&[&reference])
        .assert_status(0)
        .assert_says("was corrupt");
    assert_eq!(
        fs::read(cache.object(&digest)).expect("the object"),
        document
    );
    let quarantined = cache
        .path()
        .join(format!(".skopeo-index/quarantine/{digest}.2"));
    assert_eq!(
        fs::read_to_string(quarantined).expect("the quarantined object"),
        "nor what it should be"
    );
}

/// It may be another source's: it is neither hashed nor moved.
#[test]
fn oversized_object_is_named_with_its_path_and_what_to_do() {
    let cache = Cache::new();
    fs::create_dir(cache.path()).expect("a directory");
    let object = fs::File::create(cache.object(DIGEST)).expect("a file");
    object.set_len(5 << 20).expect("a file");
    let path = cache.object(DIGEST).display().to_string();
    cache
        .fetch(&[&format!("localhost/app@{DIGEST}")])
        .assert_status(11)
        .assert_says("not an image index: 5242880 bytes exceed the limit")
        .assert_says("hint: this is a file in the cache, ")
        .assert_says(&path)
        .assert_says("remove it and fetch again");
    assert!(cache.object(DIGEST).exists(), "the object is left");
}
