//! Many at once.

use std::process::Stdio;

use test_support::loopback::{Registry, samples};

use crate::harness::Cache;
use crate::harness::ended;

/// Processes that fetch the same.
const PROCESSES: usize = 8;

/// What each of them fetches.
const INDEXES: usize = 50;

#[test]
fn many_processes_fetch_the_same_into_one_cache() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digests: Vec<String> = (0..INDEXES)
        .map(|n| registry.put(samples::distinct(n)))
        .collect();
    let references: Vec<String> = digests
        .iter()
        .map(|digest| format!("{}/app@{digest}", registry.address()))
        .collect();
    let start = || {
        let mut command = cache.command(["fetch", "--tls-verify=false", "-j4"]);
        command
            .args(&references)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("the binary")
    };
    let running: Vec<_> = (0..PROCESSES).map(|_| start()).collect();
    for process in running {
        let ran = ended(process.wait_with_output().expect("its end"));
        ran.assert_status(0);
        let expected: Vec<_> = digests
            .iter()
            .map(|digest| cache.object(digest).display().to_string())
            .collect();
        assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
        assert!(
            !ran.stderr.contains("error") && !ran.stderr.contains("cannot"),
            "{ran:?}"
        );
    }
    let mut expected = digests;
    expected.sort();
    assert_eq!(cache.objects(), expected);
    cache.assert_no_leftover();
    cache.run(["verify"]).assert_status(0);
}

#[test]
fn a_digest_asked_for_twice_is_fetched_once() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let (one, two) = (
        format!("{}/app@{digest}", registry.address()),
        format!("{}/other@{digest}", registry.address()),
    );
    let ran = cache.fetch(&[&one, &two, &one]);
    ran.assert_status(0);
    assert_eq!(ran.stdout.lines().count(), 3, "a result for each request");
    assert_eq!(registry.requests(&digest), 1);
}

#[test]
fn a_failing_item_stops_no_other_and_the_first_decides_the_status() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (image, index) = (
        registry.put(samples::single_image()),
        registry.put(samples::empty()),
    );
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    let missing = of(&test_support::loopback::digest(b"missing"));
    let ran = cache.fetch(&[&of(&index), &missing, &of(&image)]);
    ran.assert_status(13)
        .assert_says("single image")
        .assert_says("manifest unknown");
    assert_eq!(cache.objects(), [index]);
}
