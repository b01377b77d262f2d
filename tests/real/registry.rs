//! Registries that do as they should.

use std::fs;

use test_support::loopback::{Behaviour, Registry, samples};
use skopeo_index_core::index::MAX_MANIFEST_SIZE;

use crate::harness::Cache;
use crate::harness::ended;

/// Fetches a document from a loopback registry, and has it in the cache.
#[track_caller]
fn assert_fetched(document: &[u8], method: &str) {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(document);
    let reference = format!("{}/some/image@{digest}", registry.address());
    let ran = cache.fetch(&[&reference, "--method", method]);
    ran.assert_status(0);
    assert_eq!(
        ran.stdout.trim(),
        cache.object(&digest).display().to_string()
    );
    assert_eq!(
        fs::read(cache.object(&digest)).expect("the object"),
        document
    );
    cache.assert_no_leftover();
}

#[test]
fn fetches_an_oci_index() {
    assert_fetched(&samples::oci_index(3), "raw");
}

#[test]
fn fetches_an_oci_index_without_media_type() {
    assert_fetched(&samples::oci_index_without_media_type(), "raw");
}

#[test]
fn fetches_a_docker_list() {
    assert_fetched(&samples::docker_list(3), "raw");
}

#[test]
fn fetches_a_nested_index() {
    assert_fetched(&samples::nested(), "raw");
}

#[test]
fn fetches_an_index_with_an_artifact_type() {
    assert_fetched(&samples::with_artifact_type(), "raw");
}

#[test]
fn fetches_an_index_with_a_subject() {
    assert_fetched(&samples::with_subject(), "raw");
}

#[test]
fn fetches_an_index_with_data_in_a_descriptor() {
    assert_fetched(&samples::with_data(), "raw");
}

#[test]
fn fetches_an_index_of_nothing() {
    assert_fetched(&samples::empty(), "raw");
}

#[test]
fn fetches_an_index_of_4_mib() {
    assert_fetched(&samples::of_size(MAX_MANIFEST_SIZE), "raw");
}

#[test]
fn copies_a_docker_list_by_the_three_commands() {
    assert_fetched(&samples::docker_list(3), "copy");
}

#[test]
fn copies_an_oci_index_by_the_three_commands() {
    assert_fetched(&samples::oci_index(3), "copy");
}

#[test]
fn refuses_one_byte_more_than_4_mib() {
    for method in ["raw", "copy"] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::of_size(MAX_MANIFEST_SIZE + 1));
        let reference = format!("{}/image@{digest}", registry.address());
        cache
            .fetch(&[&reference, "--method", method])
            .assert_status(11);
        cache.assert_nothing_kept();
    }
}

#[test]
fn a_copy_that_skopeo_serialises_anew_is_refused_and_raw_is_not() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::with_data());
    let reference = format!("{}/image@{digest}", registry.address());
    let copied = cache.fetch(&[&reference, "--method", "copy"]);
    // skopeo from 1.10 on leaves the bytes alone.
    if copied.status != Some(0) {
        copied.assert_status(10).assert_says("digest mismatch");
        cache.assert_nothing_kept();
    }
    cache.fetch(&[&reference]).assert_status(0);
}

#[test]
fn plain_http_is_refused_unless_it_is_allowed() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .run(["fetch", &reference])
        .assert_status(1)
        .assert_says("TLS failed");
    cache.assert_nothing_kept();
}

#[test]
fn an_item_that_wants_tls_is_not_fetched_without_whatever_the_option_says() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let file = cache.beside("items.json");
    let fetch = |image: serde_json::Value| {
        let items = serde_json::json!({ &digest: { "image": image } });
        fs::write(&file, items.to_string()).expect("a file");
        cache.fetch(&["--manifest", file.to_str().expect("UTF-8")])
    };
    let name = format!("{}/app", registry.address());
    let wants = serde_json::json!({ "name": name, "tls-verify": true });
    fetch(wants).assert_status(1).assert_says("TLS failed");
    let silent = serde_json::json!({ "name": name });
    fetch(silent).assert_status(0);
}

/// A registry with a mirror: who fails how says it, and who has it serves it.
#[test]
fn of_a_registry_and_its_mirror_the_registry_decides() {
    let (registry, mirror, cache) = (Registry::start(), Registry::start(), Cache::new());
    let conf = cache.beside(".config/containers");
    fs::create_dir_all(&conf).expect("a directory");
    let location = |table: &str, of: &Registry| {
        format!(
            "[[{table}]]\nlocation = \"{}\"\ninsecure = true\n",
            of.address()
        )
    };
    let text = location("registry", &registry) + &location("registry.mirror", &mirror);
    fs::write(conf.join("registries.conf"), text).expect("a file");
    let digest = registry.put(samples::empty());
    let fetch = || {
        let reference = format!("{}/app@{digest}", registry.address());
        let mut command = cache.command(["fetch", "--retry-times=0", &reference]);
        let home = command.env("HOME", cache.beside(""));
        ended(home.output().expect("the binary"))
    };
    registry.behave(&digest, Behaviour::unauthorized());
    fetch().assert_status(12).assert_says("Mirrors also failed");
    mirror.put_as(&digest, samples::empty());
    fetch().assert_status(0);
}

#[test]
fn what_a_tag_resolves_to_can_be_fetched() {
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
    // The item itself says that plain HTTP will do.
    let ran = cache.run(["fetch", "--manifest", file.to_str().expect("UTF-8")]);
    ran.assert_status(0).assert_says("cached");

    let other = format!("{}/other:v1", registry.address());
    let both = [
        "resolve",
        "--tls-verify=false",
        "--format=osbuild",
        &tag,
        &other,
    ];
    let ran = cache.run(both);
    ran.assert_status(0).assert_says("have one digest");
    assert_eq!(ran.stdout.matches("\"name\"").count(), 1, "{ran:?}");

    let json = cache.run(["resolve", "--tls-verify=false", "--format=json", &tag]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["reference"], resolved.stdout.trim(), "{json}");
    assert_eq!(json["platforms"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_does_not_resolve_says_why() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.address();
    let resolve = |name: &str| cache.run(["resolve", "--tls-verify=false", name]);
    resolve(&format!("{at}/app:missing"))
        .assert_status(13)
        .assert_says("hint: are name and digest right");
    resolve(&format!("{at}/app@{}", test_support::loopback::digest(b"")))
        .assert_status(2)
        .assert_says("it has a digest already");
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
fn a_tag_of_a_single_image_does_not_resolve() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("v1", samples::single_image());
    let tag = format!("{}/app:v1", registry.address());
    cache
        .run(["resolve", "--tls-verify=false", &tag])
        .assert_status(11);
}

#[test]
fn a_tag_beside_the_digest_is_dropped_aloud() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app:v1@{digest}", registry.address());
    cache
        .fetch(&[&reference])
        .assert_status(0)
        .assert_says("the tag \"v1\" is dropped");
}

#[test]
fn a_hit_asks_no_registry() {
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
fn a_corrupt_object_is_quarantined_and_fetched_anew() {
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
    let kept = cache
        .path()
        .join(format!(".skopeo-index/quarantine/{digest}.2"));
    assert_eq!(
        fs::read_to_string(kept).expect("what was there"),
        "nor what it should be"
    );
}

#[test]
fn a_transient_failure_is_tried_again() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let unavailable = test_support::loopback::Behaviour::status("503 Service Unavailable");
    registry.behave_once(&digest, [unavailable.clone(), unavailable]);
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference])
        .assert_status(0)
        .assert_says("attempt 2");
    assert_eq!(registry.requests(&digest), 3);
}
