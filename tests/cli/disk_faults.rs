//! File systems that are full, or cannot rename and link.

use std::fs;

use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput, wrap};

#[test]
fn rename_and_link_unsupported_fails_and_leaves_nothing() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    let trace = cache.beside("trace").display().to_string();
    let strace = [
        "strace",
        "-qqfo",
        &trace,
        "-e",
        "inject=renameat2:error=EINVAL",
        "-e",
        "inject=linkat:error=EPERM",
    ];
    let fetch = cache.command(["fetch", "--tls-verify=false", &reference]);
    let output = wrap(&strace, &fetch).output();
    RunOutput::from(output.expect("strace; `make setup` installs it"))
        .assert_status(1)
        .assert_says("cannot link ");
    cache.assert_empty();
}

#[test]
fn disk_full_fails_and_leaves_nothing() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::of_size(1 << 20));
    let reference = format!("{}/app@{digest}", registry.address());
    fs::create_dir(cache.path()).expect("a directory");
    let dir = cache.path().display().to_string();
    test_support::loopback::run("mount", &["-t", "tmpfs", "-o", "size=512k", "tmpfs", &dir]);
    let output = cache.fetch(&[&reference]);
    let left = cache.objects();
    test_support::loopback::run("umount", &[&dir]);
    output
        .assert_status(1)
        .assert_says("No space left on device");
    assert_eq!(left, [""; 0]);
}

#[test]
fn output_that_cannot_be_written_is_a_failure_of_every_command() {
    let cache = Cache::new();
    for args in [
        &["--help"][..],
        &["-V"],
        &["fetch", "--help"],
        &["--version"],
        &["states"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = cache.command(args);
        let output = command.stdout(full.expect("a device")).output();
        RunOutput::from(output.expect("the binary"))
            .assert_status(1)
            .assert_says("cannot write to stdout: No space left on device");
    }
}
