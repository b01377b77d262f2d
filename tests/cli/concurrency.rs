//! Many fetches at once, in one process and in many.

use std::process::Stdio;

use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

/// Number of processes.
const PROCESSES: usize = 8;

/// Number of indexes, all fetched by each process.
const INDEXES: usize = 50;

#[test]
fn concurrent_processes_share_one_cache() {
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
        let output = RunOutput::from(process.wait_with_output().expect("an exit status"));
        output.assert_status(0);
        let expected: Vec<_> = digests
            .iter()
            .map(|digest| cache.object(digest).display().to_string())
            .collect();
        assert_eq!(output.stdout.lines().collect::<Vec<_>>(), expected);
        assert!(
            !["error", "cannot", "could not"]
                .iter()
                .any(|word| output.stderr.contains(word)),
            "{output:?}"
        );
    }
    let mut expected = digests;
    expected.sort();
    assert_eq!(cache.objects(), expected);
    cache.assert_no_staging();
    cache.run(["verify"]).assert_status(0);
}

#[test]
fn duplicate_digest_is_fetched_once() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let (one, two) = (
        format!("{}/app@{digest}", registry.address()),
        format!("{}/other@{digest}", registry.address()),
    );
    let output = cache.fetch(&[&one, &two, &one]);
    output.assert_status(0);
    assert_eq!(
        output.stdout.lines().count(),
        3,
        "a result for each request"
    );
    assert_eq!(registry.requests(&digest), 1);
}

#[test]
fn failed_request_stops_no_other_and_the_first_sets_exit_status() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (image, index) = (
        registry.put(samples::single_image()),
        registry.put(samples::empty()),
    );
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    let missing = of(&test_support::loopback::digest(b"missing"));
    let output = cache.fetch(&[&of(&index), &missing, &of(&image)]);
    output
        .assert_status(13)
        .assert_says("single image")
        .assert_says("manifest unknown");
    assert_eq!(cache.objects(), [index]);
}
