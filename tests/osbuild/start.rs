//! How a host starts the service, and what skopeo inherits from it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use test_support::loopback::{Registry, samples};
use test_support::program::host::{Host, Version, items, reply};

#[test]
fn service_starts_by_the_name_of_the_source() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("org.osbuild.skopeo-index");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_skopeo-index"), &source).expect("a link");
    let host = Host::start_with(Version::V190, |command| {
        // Starts the link instead of the binary, with the same arguments.
        command.args(["sh", "-c", "shift; exec \"$SOURCE\" \"$@\"", "-"]);
        command.env("SOURCE", &source);
    });
    assert_eq!(
        reply(&host.download(&items(registry.address(), [digest.as_str()])))["success"],
        true
    );
    let mut by_name = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
    let output = by_name
        .arg0("/usr/lib/osbuild/sources/org.osbuild.skopeo-index")
        .output()
        .expect("the binary");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--service-fd"));
}

#[test]
fn service_descriptor_that_is_not_a_socket_is_a_usage_error() {
    for number in ["1", "99"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
        let output = command
            .args(["--service-id", "x", "--service-fd", number])
            .output()
            .expect("the binary");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn skopeo_inherits_no_ignored_signals() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let dir = tempfile::tempdir().expect("a directory");
    let (skopeo, ignored) = (dir.path().join("skopeo"), dir.path().join("ignored"));
    let script = "#!/bin/sh\ngrep SigIgn /proc/self/status > \"$OUT\"\nexec skopeo \"$@\"\n";
    fs::write(&skopeo, script).expect("a script");
    test_support::loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
    let host = Host::start_with(Version::V190, |command| {
        command
            .env("SKOPEO_INDEX_SKOPEO", &skopeo)
            .env("OUT", &ignored);
    });
    let message = host.download(&items(registry.address(), [digest.as_str()]));
    assert_eq!(reply(&message)["success"], true);
    let mask = fs::read_to_string(ignored).expect("a mask");
    let mask = u64::from_str_radix(mask.trim_start_matches("SigIgn:").trim(), 16).expect("hex");
    assert_eq!(
        mask & (1 << 1 | 1 << 14),
        0,
        "SIGINT and SIGTERM reach it: {mask:x}"
    );
}

#[test]
fn host_in_python_reads_every_reply() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let cache = tempfile::tempdir().expect("a directory");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/osbuild/host.py");
    let arguments = [
        script,
        env!("CARGO_BIN_EXE_skopeo-index"),
        registry.address(),
        &digest,
    ];
    let output = Command::new("python3")
        .args(arguments)
        .arg(cache.path())
        .output();
    let output = output.expect("python3; `make setup` installs it");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok");
}
