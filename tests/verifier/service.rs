//! Verifiers of the osbuild source, by its environment.

use test_support::loopback::{Registry, samples};
use test_support::program::host::{Host, Version, items, reply};

#[test]
fn service_asks_the_verifiers_of_its_environment() {
    for (verifiers, success) in [("true\ntrue {file}", true), ("true\nfalse", false)] {
        let registry = Registry::start();
        let digest = registry.put(samples::oci_index(2));
        let host = Host::start_with(Version::V190, |command| {
            command.env("SKOPEO_INDEX_VERIFIER", verifiers);
        });
        let message = host.download(&items(registry.address(), [digest.as_str()]));
        let reply = reply(&message);
        assert_eq!(reply["success"], success, "{reply}");
        assert_eq!(host.object(&digest).exists(), success);
        if !success {
            let error = reply["results"][0]["error"].as_str().expect("text");
            assert!(
                error.contains("refused by a verifier: false: no output"),
                "{error}"
            );
        }
    }
}

#[test]
fn service_refuses_arguments_that_a_record_has_no_room_for_before_the_run() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(2));
    let dir = tempfile::tempdir().expect("a directory");
    let host = Host::start_with(Version::V190, |command| {
        command.env(
            "SKOPEO_INDEX_VERIFIER",
            format!("false {}", "{file} ".repeat(400)),
        );
        command.env("SKOPEO_INDEX_AUDIT_LOG", dir.path().join("log"));
    });
    let message = host.download(&items(registry.address(), [digest.as_str()]));
    let text = message.to_string();
    assert!(text.contains("at most 16384 "), "{text}");
    assert_eq!(registry.connections(), 0);
}

#[test]
fn copy_between_caches_needs_the_approval_as_well() {
    let host = Host::start_with(Version::V190, |command| {
        command.env("SKOPEO_INDEX_VERIFIER", "false");
    });
    let document = samples::oci_index(2);
    let digest = skopeo_index_core::digest::Digest::of(&document).to_string();
    let object = host.object(&digest);
    std::fs::create_dir_all(object.parent().expect("a directory")).expect("a directory");
    std::fs::write(&object, document).expect("an object");
    let mut arguments = host.arguments(&items("localhost:1", [digest.as_str()]));
    arguments["dst_cache"] = host.other_cache().display().to_string().into();
    let message = host.call("copy", &arguments);
    let text = message.to_string();
    assert!(text.contains("refused by a verifier"), "{text}");
    let copied = host.other_cache().join("org.osbuild.files").join(&digest);
    assert!(!copied.exists());
}
