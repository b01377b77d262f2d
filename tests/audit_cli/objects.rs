//! `audit verify --cache`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

#[test]
fn verify_cache_reports_corrupt_and_missing_committed_objects() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let log = cache.beside("log").display().to_string();
    let dir = cache.path().display().to_string();
    cache
        .fetch(&[
            &format!("{}/app@{digest}", registry.address()),
            "--audit-log",
            &log,
        ])
        .assert_status(0);
    let verify = || cache.run(["audit", "verify", &log, "--cache", &dir]);
    verify().assert_status(0);
    fs::write(cache.object(&digest), "x").expect("the object");
    let output = verify();
    output.assert_status(15);
    let lines = fs::read_to_string(&log).expect("a log");
    let committed = lines
        .lines()
        .position(|line| line.contains("\"to\":\"committed\""));
    let place = format!("record {}: {digest}", committed.expect("one"));
    assert!(output.stdout.starts_with(&place), "{}", output.stdout);
    fs::remove_file(cache.object(&digest)).expect("the object");
    verify().assert_status(15);
}

#[test]
fn verify_cache_checks_only_objects_committed_to_that_cache() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let log = cache.beside("log").display().to_string();
    let reference = |digest: &str| format!("{}/app@{digest}", registry.address());
    let [first, second, both] = [1, 2, 3].map(|n| registry.put(samples::distinct(n)));
    let fetch = |cache: &Cache, digests: &[&str]| {
        let references: Vec<_> = digests.iter().map(|digest| reference(digest)).collect();
        let args = references
            .iter()
            .map(String::as_str)
            .chain(["--audit-log", &log]);
        cache.fetch(&args.collect::<Vec<_>>()).assert_status(0);
    };
    fetch(&cache, &[&first, &both]);
    let other = Cache::new();
    fetch(&other, &[&second, &both]);
    let verify = |dir: &str| cache.run(["audit", "verify", &log, "--cache", dir]);
    let link = cache.beside("link");
    std::os::unix::fs::symlink(cache.path(), &link).expect("a link");
    for dir in [cache.path(), other.path(), link] {
        let output = verify(dir.to_str().expect("UTF-8"));
        output.assert_status(0);
        let note = "objects in other caches, not checked: 2";
        assert!(output.stdout.starts_with(note), "{}", output.stdout);
    }

    // A cache at a path that no run used is checked for the objects of all runs.
    let moved = cache.beside("moved");
    fs::rename(cache.path(), &moved).expect("a new name");
    let output = verify(moved.to_str().expect("UTF-8"));
    output.assert_status(15);
    assert!(
        output.stdout.starts_with("no run used this cache"),
        "{}",
        output.stdout
    );
    assert!(
        output
            .stdout
            .contains(&format!("{second} was committed and is now missing"))
    );
    assert!(!output.stdout.contains(&first), "{}", output.stdout);
}

#[test]
fn verify_cache_notes_index_without_a_record() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let log = cache.beside("log").display().to_string();
    let [with, without] = [1, 2].map(|n| registry.put(samples::distinct(n)));
    let reference = |digest: &str| format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference(&with), "--audit-log", &log])
        .assert_status(0);
    cache.fetch(&[&reference(&without)]).assert_status(0);
    // An object of another osbuild source is not reported.
    fs::write(cache.object(&test_support::loopback::digest(b"rpm")), "rpm").expect("a file");
    let dir = cache.path().display().to_string();
    let output = cache.run(["audit", "verify", &log, "--cache", &dir]);
    output.assert_status(0);
    let expected = format!("{without} is in the cache without a record\n");
    assert!(output.stdout.starts_with(&expected), "{}", output.stdout);
    assert!(
        output.stdout.ends_with(" 1 finding: intact\n"),
        "{}",
        output.stdout
    );
}

/// Names that differ only in a byte that is not UTF-8 are two caches, also with both methods
/// and with verifiers.
#[test]
fn caches_whose_paths_are_not_utf8_are_told_apart() {
    let (registry, beside) = (Registry::start(), Cache::new());
    let log = beside.beside("log");
    let caches =
        [b"c\\-\xff", b"c\\-\xfe"].map(|name| beside.beside("").join(OsStr::from_bytes(name)));
    let digests = [1, 2].map(|n| registry.put(samples::distinct(n)));
    let option = |name: &str, path: &std::path::Path| {
        let mut option = OsString::from(name);
        option.push(path);
        option
    };
    for method in ["raw", "copy"] {
        for (cache, digest) in caches.iter().zip(&digests) {
            let reference = format!("{}/app@{digest}", registry.address());
            let mut command = beside.command(["fetch", "--tls-verify=false", &reference]);
            command.args(["--verifier=test -f {file}", r"--verifier=true 'x\d{file}'"]);
            command.args([option("--cache=", cache), option("--audit-log=", &log)]);
            let output = command.env("SKOPEO_INDEX_METHOD", method).output();
            assert!(output.expect("the binary").status.success());
        }
        for cache in &caches {
            let mut command = beside.command(["audit", "verify"]);
            command.args([&log, &option("--cache=", cache).into()]);
            let output = RunOutput::from(command.output().expect("the binary"));
            output.assert_status(0);
            let note = "objects in other caches, not checked: 1";
            assert!(output.stdout.starts_with(note), "{}", output.stdout);
            fs::remove_dir_all(cache).expect("a cache");
        }
    }
}
