//! `copy` between the caches of two stores.

use std::fs;

use serde_json::json;
use test_support::loopback::{Registry, samples};
use test_support::program::host::{Host, Version, exception, items, reply};

#[test]
fn copy_that_fails_is_an_exception_on_every_host() {
    for version in [Version::V190, Version::V185, Version::Unknown] {
        let host = Host::start_with(version, |service| {
            service.env("SKOPEO_INDEX_REPLY", "structured");
        });
        let items = items("localhost", [test_support::loopback::digest(b"").as_str()]);
        let args = json!({
            "items": items, "cache": host.cache(), "dst_cache": host.other_cache(),
        });
        let message = host.call("copy", &args);
        assert_eq!(message["data"]["name"], "CopyFailed");
        let text = exception(&message);
        assert!(
            text.contains("/app@sha256:") && text.contains("not found"),
            "{text}"
        );
        // The service keeps serving.
        let none = json!({ "items": {}, "cache": host.cache(), "dst_cache": host.other_cache() });
        assert_eq!(reply(&host.call("copy", &none))["success"], true);
    }
}

#[test]
fn copy_publishes_intact_objects_and_rejects_corrupt_or_missing_ones() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(1));
    // Options of fetches don't affect a copy.
    let host = Host::start_with(Version::V190, |service| {
        service.env("SKOPEO_INDEX_METHOD", "copy");
        service.env("SKOPEO_INDEX_OFFLINE", "true");
    });
    let files = host.cache().join("org.osbuild.files");
    fs::create_dir_all(&files).expect("a directory");
    fs::write(files.join(&digest), samples::oci_index(1)).expect("an object");
    let items = items(registry.address(), [digest.as_str()]);
    let args = json!({
        "items": items, "options": {}, "cache": host.cache(), "dst_cache": host.other_cache(),
    });
    for _ in 0..2 {
        assert_eq!(reply(&host.call("copy", &args))["success"], true);
    }
    let copied = host.other_cache().join("org.osbuild.files").join(&digest);
    assert_eq!(fs::read(&copied).expect("the copy"), samples::oci_index(1));

    fs::remove_file(&copied).expect("the copy");
    fs::write(host.object(&digest), samples::oci_index(2)).expect("the object");
    let message = host.call("copy", &args);
    assert!(exception(&message).contains("digest mismatch"), "{message}");
    assert!(!copied.exists());
    fs::remove_file(host.object(&digest)).expect("the object");
    let message = host.call("copy", &args);
    assert!(exception(&message).contains("not found"), "{message}");
    assert_eq!(
        registry.requests(&digest),
        0,
        "no registry is asked for a copy"
    );
    let (_, stdout) = host.finish();
    let lines: Vec<_> = stdout.lines().collect();
    assert!(
        lines.len() == 4 && lines[0].contains("… copied, ") && lines[1].contains("… cached, "),
        "{stdout}"
    );
}
