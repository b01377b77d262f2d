//! The JSON that programs read, whole: with times and places replaced.

use std::fs;

use insta::assert_snapshot;
use test_support::loopback::{Registry, samples};
use serde_json::Value;
use skopeo_index::skopeo::SkopeoBinary;

use crate::harness::Cache;

/// A line of JSON without what differs from run to run.
fn steady(line: &str, registry: &Registry, cache: &Cache) -> String {
    let skopeo = SkopeoBinary::new("skopeo".into());
    let line = line
        .replace(registry.address(), "REGISTRY")
        .replace(&skopeo.program().display().to_string(), "skopeo")
        .replace(&cache.path().display().to_string(), "CACHE");
    // The process's own directory, as `staging-XXXXXX`.
    let line = match line.split_once("/staging-") {
        Some((before, after)) => format!("{before}/staging-XXXXXX{}", &after[6..]),
        None => line,
    };
    let mut json: Value = serde_json::from_str(&line).expect("JSON on each line");
    for (key, steady) in [("time", Value::from("TIME")), ("milliseconds", 0.into())] {
        if let Some(value) = json.get_mut(key) {
            *value = steady;
        }
    }
    json.to_string()
}

fn all_steady(lines: &str, registry: &Registry, cache: &Cache) -> String {
    let lines = lines.lines().map(|line| steady(line, registry, cache));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn of_fetch_and_its_progress() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let of = |digest: String| format!("{}/app@{digest}", registry.address());
    let good = of(registry.put(samples::oci_index(2)));
    let bad = of(registry.put(samples::single_image()));
    let missing = "containers-storage:[overlay@/no/such/storage]localhost/app";
    let missing = format!("{missing}@{}", test_support::loopback::digest(b"missing"));
    let fetch = ["--format=json", "--progress=json", "--jobs=1"];
    let ran = cache.fetch(&[&fetch[..], &[&good, &bad, &missing, &good]].concat());
    ran.assert_status(11);
    assert_snapshot!("fetch", all_steady(&ran.stdout, &registry, &cache));
    assert_snapshot!("progress", all_steady(&ran.stderr, &registry, &cache));
    let ran = cache.fetch(&[&fetch[..], &[&good]].concat());
    assert_snapshot!("fetch_cached", all_steady(&ran.stdout, &registry, &cache));
    let ran = cache.fetch(&[&fetch[..], &["--dry-run", &good, &bad]].concat());
    assert_snapshot!("fetch_dry_run", all_steady(&ran.stdout, &registry, &cache));
}

#[test]
fn of_resolve() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("v1", samples::docker_list(2));
    let tag = format!("{}/app:v1", registry.address());
    let ran = cache.run(["resolve", "--tls-verify=false", "--format=json", &tag]);
    ran.assert_status(0);
    assert_snapshot!("resolve", all_steady(&ran.stdout, &registry, &cache));
}

#[test]
fn of_verify() {
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
    let ran = cache.run(["verify", "--format=json", "--quarantine"]);
    // The first by its digest is no index, another is corrupt.
    ran.assert_status(11);
    assert_snapshot!("verify", all_steady(&ran.stdout, &registry, &cache));
    let ran = cache.run(["verify", "--format=json", &missing]);
    ran.assert_status(13);
    assert_snapshot!("verify_missing", all_steady(&ran.stdout, &registry, &cache));
}
