//! Every legal kind of index from a correct registry, by both methods.

use std::fs;

use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::Cache;

/// Asserts that a document is fetched from a loopback registry into the cache.
#[track_caller]
fn assert_fetched(document: &[u8], method: &str) {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(document);
    let reference = format!("{}/some/image@{digest}", registry.address());
    let output = cache.fetch(&[&reference, "--method", method]);
    output.assert_status(0);
    assert_eq!(
        output.stdout.trim(),
        cache.object(&digest).display().to_string()
    );
    assert_eq!(
        fs::read(cache.object(&digest)).expect("the object"),
        document
    );
    cache.assert_no_staging();
}

#[test]
fn oci_index_is_fetched() {
    assert_fetched(&samples::oci_index(3), "raw");
}

#[test]
fn oci_index_without_media_type_is_fetched() {
    assert_fetched(&samples::oci_index_without_media_type(), "raw");
}

#[test]
fn docker_list_is_fetched() {
    assert_fetched(&samples::docker_list(3), "raw");
}

#[test]
fn nested_index_is_fetched() {
    assert_fetched(&samples::nested(), "raw");
}

#[test]
fn index_with_artifact_type_is_fetched() {
    assert_fetched(&samples::with_artifact_type(), "raw");
}

#[test]
fn index_with_subject_is_fetched() {
    assert_fetched(&samples::with_subject(), "raw");
}

#[test]
fn index_with_inline_data_is_fetched() {
    assert_fetched(&samples::with_data(), "raw");
}

#[test]
fn empty_index_is_fetched() {
    assert_fetched(&samples::empty(), "raw");
}

#[test]
fn index_of_4_mib_is_fetched() {
    assert_fetched(&samples::of_size(MAX_MANIFEST_SIZE), "raw");
}

#[test]
fn index_of_one_byte_over_4_mib_is_rejected() {
    for method in ["raw", "copy"] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::of_size(MAX_MANIFEST_SIZE + 1));
        let reference = format!("{}/image@{digest}", registry.address());
        cache
            .fetch(&[&reference, "--method", method])
            .assert_status(11);
        cache.assert_empty();
    }
}

#[test]
fn docker_list_is_fetched_by_method_copy() {
    assert_fetched(&samples::docker_list(3), "copy");
}

#[test]
fn oci_index_is_fetched_by_method_copy() {
    assert_fetched(&samples::oci_index(3), "copy");
}

#[test]
fn manifest_reserialized_by_skopeo_copy_is_a_digest_mismatch() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::with_data());
    let reference = format!("{}/image@{digest}", registry.address());
    let copied = cache.fetch(&[&reference, "--method", "copy"]);
    // From skopeo 1.10 on, the bytes are copied unchanged.
    if copied.status != Some(0) {
        copied.assert_status(10).assert_says("digest mismatch");
        cache.assert_empty();
    }
    cache.fetch(&[&reference]).assert_status(0);
}

#[test]
fn tag_beside_digest_is_ignored_with_a_note() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app:v1@{digest}", registry.address());
    cache
        .fetch(&[&reference])
        .assert_status(0)
        .assert_says("the tag \"v1\" is ignored");
}

#[test]
fn transient_failure_is_retried_until_success() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let unavailable = Behaviour::status("503 Service Unavailable");
    registry.behave_once(&digest, [unavailable.clone(), unavailable]);
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference])
        .assert_status(0)
        .assert_says("attempt 2");
    assert_eq!(registry.requests(&digest), 3);
}
