//! Whole JSON output, with times and paths replaced.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;
use test_support::loopback::{Registry, samples};
use test_support::program::binary;
use test_support::program::harness::Cache;

use crate::skopeo_path;

/// A line of JSON with times, addresses and paths replaced, which differ from run to run.
fn stable_line(line: &str, registry: &Registry, cache: &Cache) -> String {
    let line = line
        .replace(registry.address(), "REGISTRY")
        .replace(&skopeo_path(), "skopeo")
        .replace(&binary().display().to_string(), "skopeo-index")
        .replace(&cache.path().display().to_string(), "CACHE");
    // Names of staging directories are random.
    let line = match line.split_once("/staging-") {
        Some((before, after)) => format!("{before}/staging-XXXXXX{}", &after[6..]),
        None => line,
    };
    let mut json: Value = serde_json::from_str(&line).expect("JSON on each line");
    for (key, replacement) in [("time", Value::from("TIME")), ("milliseconds", 0.into())] {
        if let Some(value) = json.get_mut(key) {
            *value = replacement;
        }
    }
    json.to_string()
}

fn stable_lines(lines: &str, registry: &Registry, cache: &Cache) -> String {
    let lines = lines.lines().map(|line| stable_line(line, registry, cache));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn fetch_json_output_and_progress() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let of = |digest: String| format!("{}/app@{digest}", registry.address());
    let good = of(registry.put(samples::oci_index(2)));
    let bad = of(registry.put(samples::single_image()));
    let missing = "containers-storage:[overlay@/no/such/storage]localhost/app";
    let missing = format!("{missing}@{}", test_support::loopback::digest(b"missing"));
    let fetch = ["--format=json", "--progress=json", "--jobs=1"];
    let output = cache.fetch(&[&fetch[..], &[&good, &bad, &missing, &good]].concat());
    output.assert_status(11);
    assert_snapshot!("fetch", stable_lines(&output.stdout, &registry, &cache));
    assert_snapshot!("progress", stable_lines(&output.stderr, &registry, &cache));
    let output = cache.fetch(&[&fetch[..], &[&good]].concat());
    assert_snapshot!(
        "fetch_cached",
        stable_lines(&output.stdout, &registry, &cache)
    );
    let output = cache.fetch(&[&fetch[..], &["--dry-run", &good, &bad]].concat());
    assert_snapshot!(
        "fetch_dry_run",
        stable_lines(&output.stdout, &registry, &cache)
    );
}

#[test]
fn resolve_json_output() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("v1", samples::docker_list(2));
    let tag = format!("{}/app:v1", registry.address());
    let output = cache.run(["resolve", "--tls-verify=false", "--format=json", &tag]);
    output.assert_status(0);
    assert_snapshot!("resolve", stable_lines(&output.stdout, &registry, &cache));
}

#[test]
fn verify_json_output() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digests = [samples::empty(), samples::nested(), samples::oci_index(1)]
        .map(|index| registry.put(index));
    let of = |digest: &String| format!("{}/app@{digest}", registry.address());
    let references = digests.each_ref().map(of);
    cache
        .fetch(&references.each_ref().map(String::as_str))
        .assert_status(0);
    fs::write(cache.object(&digests[1]), "x").expect("the object");
    fs::write(cache.object(&test_support::loopback::digest(b"x")), "x").expect("an object");
    let missing = test_support::loopback::digest(b"missing");
    let output = cache.run(["verify", "--format=json", "--quarantine"]);
    // The first object is not an index, which decides; a later one is corrupt.
    output.assert_status(11);
    assert_snapshot!("verify", stable_lines(&output.stdout, &registry, &cache));
    let output = cache.run(["verify", "--format=json", &missing]);
    output.assert_status(13);
    assert_snapshot!(
        "verify_missing",
        stable_lines(&output.stdout, &registry, &cache)
    );
}
