//! The audit log of the service.

use std::fs;
use std::process::Command;

use serde_json::json;
use test_support::loopback::{Registry, samples};
use test_support::program::host::{Host, Version, items, reply};

/// Runs `audit`, which succeeds, and returns its stdout.
#[track_caller]
fn audit(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
    let output = command
        .arg("audit")
        .args(args)
        .output()
        .expect("the binary");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[track_caller]
fn assert_intact(log: &str) {
    let verified = audit(&["verify", log]);
    assert!(verified.ends_with(" 0 findings: intact\n"), "{verified}");
}

#[test]
fn audit_log_records_downloads_and_copies() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(2));
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let host = Host::start_with(Version::V190, |service| {
        service.env("SKOPEO_INDEX_AUDIT_LOG", &log);
    });
    let items = items(registry.address(), [digest.as_str()]);
    assert_eq!(reply(&host.download(&items))["success"], true);
    let mut args = host.arguments(&items);
    args["dst_cache"] = json!(host.other_cache());
    assert_eq!(reply(&host.call("copy", &args))["success"], true);

    let log = log.to_str().expect("UTF-8");
    assert_intact(log);
    let shown = audit(&["show", log]);
    assert_eq!(shown.matches(&digest).count(), 2, "{shown}");
    let path = host.other_cache().join("org.osbuild.files");
    audit(&["verify", log, "--cache", path.to_str().expect("UTF-8")]);
}

#[test]
fn audit_log_of_the_service_begins_with_the_given_origin() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let digest = format!("sha256:{}", "0".repeat(64));
    let host = Host::start_with(Version::V190, |service| {
        service
            .env("SKOPEO_INDEX_AUDIT_LOG", &log)
            .env("SKOPEO_INDEX_ORIGIN", "example.com/builds")
            .env("SKOPEO_INDEX_OFFLINE", "true");
    });
    let items = items("localhost", [digest.as_str()]);
    assert_eq!(reply(&host.download(&items))["success"], false);
    let checkpoint = audit(&["checkpoint", log.to_str().expect("UTF-8")]);
    assert!(
        checkpoint.starts_with("example.com/builds\n"),
        "{checkpoint}"
    );
}

#[test]
fn audit_log_moved_between_calls_is_created_again_or_the_call_fails() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(2));
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let host = Host::start_with(Version::V190, |service| {
        service.env("SKOPEO_INDEX_AUDIT_LOG", &log);
    });
    let items = items(registry.address(), [digest.as_str()]);
    assert_eq!(reply(&host.download(&items))["success"], true);

    let log = log.to_str().expect("UTF-8");
    fs::rename(log, format!("{log}.1")).expect("the log");
    assert_eq!(reply(&host.download(&items))["success"], true);
    for log in [log, &format!("{log}.1")] {
        assert_intact(log);
    }
    fs::remove_file(log).expect("the log");
    fs::create_dir(log).expect("a directory in its place");
    let message = host.download(&items);
    assert!(message.to_string().contains("cannot open"), "{message}");
}
