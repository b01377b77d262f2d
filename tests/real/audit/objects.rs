//! `audit verify --cache`.

use std::fs;

use test_support::loopback::{Registry, samples};

use crate::harness::Cache;

#[test]
fn what_has_become_of_committed_objects_is_told() {
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
    let told = verify();
    told.assert_status(15);
    let lines = fs::read_to_string(&log).expect("a log");
    let committed = lines
        .lines()
        .position(|line| line.contains("\"to\":\"committed\""));
    let place = format!("record {}: {digest}", committed.expect("one"));
    assert!(told.stdout.starts_with(&place), "{}", told.stdout);
    fs::remove_file(cache.object(&digest)).expect("the object");
    verify().assert_status(15);
}

#[test]
fn of_a_log_of_two_caches_each_is_asked_for_its_own() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let log = cache.beside("log").display().to_string();
    let reference = |digest: &str| format!("{}/app@{digest}", registry.address());
    let [ours, theirs, both] = [1, 2, 3].map(|n| registry.put(samples::distinct(n)));
    let fetch = |cache: &Cache, digests: &[&str]| {
        let references: Vec<_> = digests.iter().map(|digest| reference(digest)).collect();
        let args = references
            .iter()
            .map(String::as_str)
            .chain(["--audit-log", &log]);
        cache.fetch(&args.collect::<Vec<_>>()).assert_status(0);
    };
    fetch(&cache, &[&ours, &both]);
    let other = Cache::new();
    fetch(&other, &[&theirs, &both]);
    let verify = |dir: &str| cache.run(["audit", "verify", &log, "--cache", dir]);
    let link = cache.beside("link");
    std::os::unix::fs::symlink(cache.path(), &link).expect("a link");
    for dir in [cache.path(), other.path(), link] {
        let told = verify(dir.to_str().expect("UTF-8"));
        told.assert_status(0);
        let others = "2 objects were committed to other caches";
        assert!(told.stdout.starts_with(others), "{}", told.stdout);
    }

    // Moved, it is one that the log doesn't know: then all are looked for.
    let moved = cache.beside("moved");
    fs::rename(cache.path(), &moved).expect("a new name");
    let told = verify(moved.to_str().expect("UTF-8"));
    told.assert_status(15);
    assert!(
        told.stdout.starts_with("no run of the log used this cache"),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout
            .contains(&format!("{theirs} was committed and is no longer"))
    );
    assert!(!told.stdout.contains(&ours), "{}", told.stdout);
}

#[test]
fn an_index_that_came_by_another_way_is_told() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let log = cache.beside("log").display().to_string();
    let [with, without] = [1, 2].map(|n| registry.put(samples::distinct(n)));
    let reference = |digest: &str| format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference(&with), "--audit-log", &log])
        .assert_status(0);
    cache.fetch(&[&reference(&without)]).assert_status(0);
    // Another source's, which is no index.
    fs::write(cache.object(&test_support::loopback::digest(b"rpm")), "rpm").expect("a file");
    let dir = cache.path().display().to_string();
    let told = cache.run(["audit", "verify", &log, "--cache", &dir]);
    told.assert_status(0);
    let expected = format!("{without} is in the cache, and no record tells of it\n");
    assert!(told.stdout.starts_with(&expected), "{}", told.stdout);
    assert!(
        told.stdout.ends_with(" 1 findings: sound\n"),
        "{}",
        told.stdout
    );
}
