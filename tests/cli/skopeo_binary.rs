//! Which skopeo is run: `--skopeo`, `PATH`, and one that cannot be run.

use std::fs;

use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

use crate::skopeo_path;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn skopeo_missing_fails_with_install_hint() {
    let cache = Cache::new();
    let reference = format!("localhost/app@{DIGEST}");
    let output = cache.run(["fetch", "--skopeo", "no-such-skopeo", &reference]);
    output
        .assert_status(1)
        .assert_says("no-such-skopeo")
        .assert_says("apt-get install skopeo");
    cache.assert_empty();
}

#[test]
fn skopeo_not_executable_fails_without_install_hint() {
    let cache = Cache::new();
    let skopeo = cache.beside("skopeo");
    fs::write(&skopeo, "not a program").expect("a file");
    let skopeo = skopeo.to_str().expect("UTF-8");
    let reference = format!("localhost/app@{DIGEST}");
    let output = cache.run(["fetch", "--skopeo", skopeo, &reference]);
    output.assert_status(1).assert_says("Permission denied");
    assert!(!output.stderr.contains("install"), "{output:?}");
}

#[test]
fn skopeo_on_path_skips_file_that_is_not_executable() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let first = cache.beside("first");
    fs::create_dir(&first).expect("a directory");
    fs::write(first.join("skopeo"), "not to be run").expect("a file");
    let path = std::env::var("PATH").expect("a path");
    let (log, reference) = (
        cache.beside("log"),
        format!("{}/app@{digest}", registry.address()),
    );
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference, "--audit-log"]);
    command
        .arg(&log)
        .env("PATH", format!("{}:{path}", first.display()));
    RunOutput::from(command.output().expect("the binary")).assert_status(0);
    let log = fs::read_to_string(&log).expect("the log");
    let named = format!("\"path\":\"{}\"", skopeo_path());
    assert!(log.contains(&named), "{log}");
}
