//! `fetch --manifest`, and `--store`.

use std::fs;

use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn manifest_on_stdin_is_fetched() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let name = format!("{}/app", registry.address());
    let manifest = serde_json::json!({ "version": "2", "pipelines": [], "sources": {
        "org.osbuild.curl": { "items": {} },
        "org.osbuild.skopeo-index": { "items": { &digest: { "image": { "name": name, "tls-verify": false } } } },
    } });
    let file = cache.beside("manifest.json");
    fs::write(&file, manifest.to_string()).expect("a file");
    let mut command = cache.command(["fetch", "--manifest", "-"]);
    let stdin = fs::File::open(file).expect("the file");
    RunOutput::from(command.stdin(stdin).output().expect("the binary")).assert_status(0);
    assert_eq!(cache.objects(), [digest]);
}

#[test]
fn manifest_with_duplicate_item_is_a_usage_error() {
    let cache = Cache::new();
    let file = cache.beside("items.json");
    let item = format!(r#""{DIGEST}": {{"image": {{"name": "localhost/a"}}}}"#);
    fs::write(&file, format!("{{{item}, {item}}}")).expect("a file");
    let output = cache.run(["fetch", "--manifest", file.to_str().expect("UTF-8")]);
    output.assert_status(2).assert_says("duplicate key");
}

#[test]
fn store_option_puts_object_into_osbuild_files() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    let store = cache.beside("store");
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference]);
    command
        .env_remove("SKOPEO_INDEX_CACHE")
        .arg("--store")
        .arg(&store);
    RunOutput::from(command.output().expect("the binary")).assert_status(0);
    assert!(
        store
            .join("sources/org.osbuild.files")
            .join(digest)
            .exists()
    );
}
