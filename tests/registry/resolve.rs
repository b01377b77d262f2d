//! `resolve`.

use std::fs;

use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::Cache;

#[test]
fn resolved_reference_and_item_can_be_fetched() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put(samples::oci_index(2));
    registry.put_as("v1", samples::oci_index(2));
    let tag = format!("{}/app:v1", registry.address());
    let resolved = cache.run(["resolve", "--tls-verify=false", &tag]);
    resolved.assert_status(0);
    cache.fetch(&[resolved.stdout.trim()]).assert_status(0);

    let items = cache.run(["resolve", "--tls-verify=false", "--format=osbuild", &tag]);
    let file = cache.beside("items.json");
    fs::write(&file, &items.stdout).expect("a file");
    // The item has `"tls-verify": false`.
    let output = cache.run(["fetch", "--manifest", file.to_str().expect("UTF-8")]);
    output.assert_status(0).assert_says("cached");

    let other = format!("{}/other:v1", registry.address());
    let both = [
        "resolve",
        "--tls-verify=false",
        "--format=osbuild",
        &tag,
        &other,
    ];
    let output = cache.run(both);
    output.assert_status(0).assert_says("have the same digest");
    assert_eq!(output.stdout.matches("\"name\"").count(), 1, "{output:?}");

    let json = cache.run(["resolve", "--tls-verify=false", "--format=json", &tag]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["reference"], resolved.stdout.trim(), "{json}");
    assert_eq!(json["platforms"].as_array().map(Vec::len), Some(2));
}

#[test]
fn resolve_failure_has_exit_status_and_hint() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.address();
    let resolve = |name: &str| cache.run(["resolve", "--tls-verify=false", name]);
    resolve(&format!("{at}/app:missing"))
        .assert_status(13)
        .assert_says("hint: check the image name and tag");
    resolve(&format!("{at}/app@{}", test_support::loopback::digest(b"")))
        .assert_status(2)
        .assert_says("the reference has a digest already");
    registry.behave("v1", Behaviour::status("503 Service Unavailable"));
    resolve(&format!("{at}/app:v1"))
        .assert_status(14)
        .assert_says("attempt 1: ")
        .assert_says("attempt 2: ");

    registry.put_as("v2", samples::docker_list(1));
    registry.behave_once("v2", [Behaviour::status("503 Service Unavailable")]);
    resolve(&format!("{at}/app:v2"))
        .assert_status(0)
        .assert_says("attempt 1: ");
}

#[test]
fn resolve_single_image_is_not_an_index() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("v1", samples::single_image());
    let tag = format!("{}/app:v1", registry.address());
    let output = cache.run(["resolve", "--tls-verify=false", &tag]);
    output
        .assert_status(11)
        .assert_says("the tag names an image for one platform");
    assert!(
        !output.stderr.contains("skopeo-index resolve"),
        "{output:?}"
    );
}
