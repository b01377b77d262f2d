//! A log on a disk that is full or fails to sync.

use std::fs;

use serde_json::Value;
use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput, wrap};

#[test]
fn disk_full_commits_nothing_without_its_record_and_log_verifies() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let small = cache.beside("small");
    fs::create_dir(&small).expect("a directory");
    let small = small.display().to_string();
    test_support::loopback::run("mount", &["-t", "tmpfs", "-o", "size=16k", "tmpfs", &small]);
    let log = format!("{small}/log");
    let references: Vec<String> = (0..30)
        .map(|n| {
            format!(
                "{}/app@{}",
                registry.address(),
                registry.put(samples::distinct(n))
            )
        })
        .collect();
    let mut args: Vec<&str> = references.iter().map(String::as_str).collect();
    args.extend(["--audit-log", &log, "--jobs=2", "--format=json"]);
    let output = cache.fetch(&args);
    let verified = cache.run(["audit", "verify", &log]);
    let shown = cache.run(["audit", "show", &log, "--format=json"]);
    // With free space again, the next run appends.
    test_support::loopback::run("mount", &["-o", "remount,size=1m", &small]);
    let next = cache.fetch(&[&references[0], "--audit-log", &log]);
    let again = cache.run(["audit", "verify", &log]);
    test_support::loopback::run("umount", &[&small]);

    output
        .assert_status(1)
        .assert_says("No space left on device");
    assert!(
        [Some(0), Some(17)].contains(&verified.status),
        "{verified:?}"
    );
    next.assert_status(0);
    again.assert_status(0);
    let digests = |text: &str, wanted: fn(&Value) -> bool| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut digests: Vec<_> = lines
            .filter(wanted)
            .map(|line| line["digest"].as_str().expect("a digest").to_owned())
            .collect();
        digests.sort();
        digests
    };
    let succeeded = digests(&output.stdout, |line| line["success"] == true);
    let recorded = digests(&shown.stdout, |line| line["outcome"] == "committed");
    assert!(!succeeded.is_empty() && succeeded.len() < references.len());
    assert_eq!(succeeded, recorded, "a success without its record");
}

#[test]
fn fsync_failure_fails_every_later_fetch() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let log = cache.beside("log").display().to_string();
    let references = [1, 2, 3].map(|n| {
        format!(
            "{}/app@{}",
            registry.address(),
            registry.put(samples::distinct(n))
        )
    });
    let mut fetch = cache.command([
        "fetch",
        "--tls-verify=false",
        "--jobs=1",
        "--audit-log",
        &log,
    ]);
    fetch.args(&references);
    // The next fdatasync would succeed: Linux reports a write-back error once.
    let inject = "inject=fdatasync:error=EIO:when=1";
    let trace = cache.beside("trace").display().to_string();
    let strace = ["strace", "-qq", "-o", &trace, "-e", inject];
    let output = wrap(&strace, &fetch)
        .output()
        .expect("strace; `make setup` installs it");
    let output = RunOutput::from(output);
    output
        .assert_status(1)
        .assert_says("an earlier fsync failed");
    assert_eq!(cache.objects(), [""; 0]);
    cache.run(["audit", "verify", &log]).assert_status(0);
    assert_eq!(cache.run(["audit", "show", &log]).stdout.lines().count(), 1);
}
