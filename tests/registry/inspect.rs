//! `inspect` of images in a registry.

use std::fs;

use serde_json::{Value, json};
use test_support::loopback::{Behaviour, Registry, digest, samples};
use test_support::program::harness::{Cache, RunOutput};

fn inspect(cache: &Cache, args: &[&str]) -> RunOutput {
    cache.run(["inspect", "--tls-verify=false"].iter().chain(args))
}

#[test]
fn inspect_image_prints_its_index_and_stores_nothing() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.put(samples::docker_list(3));
    registry.put_as("v1", samples::docker_list(3));
    let name = format!("{}/app", registry.address());
    let file = cache.beside("list.json");
    fs::write(&file, samples::docker_list(3)).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let expected = inspect(&cache, &["--format=json", file]).stdout;
    for (engine, reference) in [
        ("auto", format!("{name}:v1")),
        ("skopeo", format!("docker://{name}:v1")),
        ("auto", format!("{name}@{at}")),
        ("registry", format!("{name}@{at}")),
        ("skopeo", format!("docker://{name}:v1@{at}")),
    ] {
        let output = inspect(&cache, &["--engine", engine, "--format=json", &reference]);
        output.assert_status(0);
        assert_eq!(output.stdout, expected, "{engine} {reference}");
        assert!(!cache.path().exists(), "the cache was created");
    }
}

#[test]
fn inspect_registry_engine_needs_a_digest() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let name = format!("{}/app:v1", registry.address());
    inspect(&cache, &["--engine=registry", &name])
        .assert_status(2)
        .assert_says("--engine registry fetches by digest only");
    assert_eq!(registry.connections(), 0);
}

#[test]
fn inspect_image_with_cached_digest_asks_no_registry() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.put(samples::oci_index(1));
    let reference = format!("{}/app@{at}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    let before = registry.connections();
    inspect(&cache, &[&reference]).assert_status(0);
    assert_eq!(registry.connections(), before);
    fs::write(cache.object(&at), "x").expect("the object");
    inspect(&cache, &[&reference]).assert_status(15);
}

#[test]
fn inspect_digest_mismatch_prints_nothing_of_the_answer() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = digest(b"the requested document");
    registry.put_as(&at, samples::oci_index(1));
    let reference = format!("{}/app@{at}", registry.address());
    for engine in ["auto", "registry", "skopeo"] {
        let output = inspect(&cache, &["--raw", "--engine", engine, &reference]);
        output.assert_status(10).assert_says("different content");
        assert_eq!(output.stdout, "", "{engine}");
    }
}

#[test]
fn inspect_that_is_cancelled_has_no_hint_about_the_name() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.behave("latest", Behaviour::Silence);
    let name = format!("{}/app", registry.address());
    let output = inspect(&cache, &["--deadline=300ms", &name]);
    output.assert_status(124);
    assert_eq!(output.stderr, format!("error: {name}: deadline exceeded\n"));
}

#[test]
fn inspect_raw_prints_exactly_the_bytes() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let index = " {\n\t\"schemaVersion\": 2, \"manifests\": []}\r\n";
    let image = r#"{"schemaVersion":2,"config":{}}"#;
    for (document, status) in [(index, 0), (image, 11)] {
        registry.put_as("v1", document);
        let at = registry.put(document);
        let name = format!("{}/app", registry.address());
        for reference in [format!("{name}:v1"), format!("{name}@{at}")] {
            let output = inspect(&cache, &["--raw", "--engine=auto", &reference]);
            output.assert_status(status);
            assert_eq!(output.stdout, document);
        }
    }
}

#[test]
fn inspect_image_that_is_not_an_index_has_code_and_hint() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("v1", samples::single_image());
    let name = format!("{}/app:v1", registry.address());
    let output = inspect(&cache, &["--engine=auto", "--format=json", &name]);
    output
        .assert_status(11)
        .assert_says("hint: the tag names an image for one platform");
    let json: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let bytes = samples::single_image();
    assert_eq!(
        json,
        json!({
            "code": "single-image", "digest": digest(&bytes), "size": bytes.len(),
            "reason": json["reason"],
        })
    );
}

#[test]
fn inspect_missing_image_is_not_found() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let name = format!("{}/app", registry.address());
    let missing = digest(b"missing");
    for (reference, hint) in [
        (format!("{name}:v1"), "check the image name and tag"),
        (
            format!("{name}@{missing}"),
            "check the image name and digest",
        ),
        // It could have been meant as a file.
        (name, "hint: no such file, so it was taken for the name of"),
    ] {
        let output = inspect(&cache, &["--engine=auto", &reference]);
        output.assert_status(13).assert_says(hint);
    }
}

#[test]
fn inspect_name_of_a_file_is_the_file() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("latest", samples::oci_index(3));
    let name = format!("{}/app", registry.address());
    let file = cache.beside(&name);
    fs::create_dir(file.parent().expect("a directory")).expect("a directory");
    let platforms = |reference: &str| {
        let mut command = cache.command(["inspect", "--tls-verify=false", "--format=json"]);
        command.args(["--engine=auto", reference]);
        let output = command.current_dir(cache.beside("")).output();
        let output = RunOutput::from(output.expect("the binary"));
        let json: Value = serde_json::from_str(&output.stdout).expect("JSON");
        json["manifests"].as_array().map(Vec::len)
    };
    assert_eq!(platforms(&name), Some(3));
    // A directory is nothing that can be inspected.
    fs::create_dir(&file).expect("a directory");
    assert_eq!(platforms(&name), Some(3));
    fs::remove_dir(&file).expect("the directory");
    fs::write(&file, samples::oci_index(1)).expect("a file");
    assert_eq!(platforms(&name), Some(1));
    assert_eq!(platforms(&format!("docker://{name}")), Some(3));
}
