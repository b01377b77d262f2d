//! `fetch --manifest`, and `--store`.

use std::fs;

use serde_json::{Value, json};
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

/// Runs `fetch --manifest` with a file of this text.
fn fetch_manifest(cache: &Cache, text: &str, args: &[&str]) -> RunOutput {
    let file = cache.beside("manifest.json");
    fs::write(&file, text).expect("a file");
    let file = file.to_str().expect("UTF-8");
    cache.run(["fetch", "--manifest", file].iter().chain(args))
}

#[test]
fn every_part_of_a_manifest_is_fetched() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let name = format!("{}/app", registry.address());
    let items = json!({ &digest: { "image": { "name": name, "tls-verify": false } } });
    for shape in [
        json!({ "org.osbuild.curl": { "items": {} }, "org.osbuild.skopeo-index": { "items": items } }),
        json!({ "items": items }),
        json!({ "digests": items }),
        items,
    ] {
        let cache = Cache::new();
        fetch_manifest(&cache, &shape.to_string(), &[]).assert_status(0);
        assert_eq!(cache.objects(), [digest.as_str()], "{shape}");
    }
}

#[test]
fn manifest_without_indexes_is_a_success_that_says_so() {
    let cache = Cache::new();
    let manifest = r#"{"version": "2", "pipelines": [], "sources": {"org.osbuild.curl": {}}}"#;
    for text in [
        manifest,
        "null",
        "{}",
        r#"{"org.osbuild.curl": {"items": {}}}"#,
    ] {
        for args in [&[][..], &["--dry-run"], &["--progress=json"]] {
            let output = fetch_manifest(&cache, text, args);
            output
                .assert_status(0)
                .assert_says("no items of org.osbuild.skopeo-index");
            assert_eq!(
                (output.stdout.as_str(), output.stderr.lines().count()),
                ("", 1)
            );
        }
        assert_eq!(fetch_manifest(&cache, text, &["--quiet"]).stderr, "");
    }
    cache
        .run(["fetch"])
        .assert_status(2)
        .assert_says("nothing to fetch");
}

#[test]
fn manifest_that_is_not_json_is_named_as_such() {
    let cache = Cache::new();
    for text in ["", "localhost/a@sha256:00\n", "{", "{\"\u{1b}[31m"] {
        let output = fetch_manifest(&cache, text, &[]);
        let message = "not JSON, but must be an osbuild manifest or its items";
        output.assert_status(2).assert_says(message);
        assert!(!output.stderr.contains('\u{1b}'), "{output:?}");
    }
    let output = fetch_manifest(&cache, "[]", &[]);
    output
        .assert_status(2)
        .assert_says("expected an osbuild manifest");
}

#[test]
fn invalid_item_of_a_manifest_is_named_with_the_file() {
    let cache = Cache::new();
    let items = cache.beside("items.json");
    let file = items.display().to_string();
    fs::write(&items, r#"{"x": {"image": {"name": "a"}}}"#).expect("a file");
    for args in [["fetch", "--manifest"], ["resolve", "--manifest"]] {
        let message = format!("error: {file}: item \"x\": invalid digest");
        let output = cache.run(args.iter().chain([&&*file]));
        output.assert_status(2).assert_says(&message);
    }
}

/// Whether it is found before or after the first fetch.
#[test]
fn error_of_a_run_is_an_event_where_progress_is_json() {
    let cache = Cache::new();
    let log = cache.beside("").display().to_string();
    let reference = format!("localhost/app@sha256:{}", "0".repeat(64));
    let not_a_log = ["--offline", "--audit-log", &log, &reference];
    for (args, status, words) in [
        (&not_a_log[..], 1, "cannot open the audit log "),
        (&["--manifest=/nonexistent"], 2, "cannot read /nonexistent"),
    ] {
        let args = [&["fetch", "--progress=json"], args].concat();
        let output = cache.run(args);
        output.assert_status(status);
        let event: Value = serde_json::from_str(&output.stderr).expect("an event");
        assert_eq!(event["event"], "error");
        let error = event["error"].as_str().expect("a text");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn manifest_on_stdin_is_called_stdin_in_messages() {
    let cache = Cache::new();
    for (args, text) in [
        (&["fetch", "--manifest=-"][..], "x"),
        (&["resolve", "--manifest=-"], "x"),
        (&["prune", "--keep-manifest=-"], "x"),
        (&["resolve", "--file=-"], "UPPER/x/y"),
    ] {
        let file = cache.beside("stdin");
        fs::write(&file, text).expect("a file");
        let mut command = cache.command(args);
        command.stdin(fs::File::open(file).expect("the file"));
        let output = RunOutput::from(command.output().expect("the binary"));
        output.assert_status(2).assert_says("error: stdin: ");
    }
}

#[test]
fn manifest_without_items_is_recorded_as_a_run_in_the_log() {
    let cache = Cache::new();
    let log = cache.beside("fetch.log").display().to_string();
    let output = fetch_manifest(&cache, "{}", &["--audit-log", &log]);
    output
        .assert_status(0)
        .assert_says("no items of org.osbuild.skopeo-index, nothing to fetch");
    let records = fs::read_to_string(&log).expect("a log");
    assert!(records.contains("{\"entry\":{\"end\""), "{records}");
    cache.run(["audit", "verify", &log]).assert_status(0);
    let to = cache.beside("statements.jsonl");
    let to = to.to_str().expect("UTF-8");
    let id = "--verifier-id=https://example.com";
    let output = cache.run(["audit", "export", "--in-toto", "--all", id, "-o", to, &log]);
    output.assert_status(0).assert_says("nothing to export");
    assert_eq!(fs::read_to_string(to).expect("a file"), "");
}

#[test]
fn manifest_with_duplicate_item_is_a_usage_error() {
    let cache = Cache::new();
    let item = format!(r#""{DIGEST}": {{"image": {{"name": "localhost/a"}}}}"#);
    let output = fetch_manifest(&cache, &format!("{{{item}, {item}}}"), &[]);
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
