//! `download`: what is fetched, and what is left alone.

use std::fs;

use serde_json::{Value, json};
use test_support::loopback::{Registry, samples};
use test_support::program::host::{Host, Version, items, reply};

#[test]
fn download_fetches_and_then_hits_the_cache() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(2));
    // Older hosts ignore the results, so a success has none.
    let versions = [
        (Version::V190, 1),
        (Version::V185, 0),
        (Version::Unknown, 0),
    ];
    for (version, results) in versions {
        let host = Host::start(version);
        let items = items(registry.address(), [digest.as_str()]);
        for cached in [false, true] {
            let message = host.download(&items);
            let reply = reply(&message);
            assert_eq!(reply["name"], "source org.osbuild.skopeo-index");
            assert_eq!(reply["source_type"], "org.osbuild.skopeo-index");
            assert_eq!(reply["success"], true);
            assert_eq!(reply["output"], "1 item in the store");
            let result = json!({
                "success": true, "metadata": { "checksum": digest, "cached": cached }, "error": "",
            });
            assert_eq!(reply["results"], json!(vec![result; results]));
        }
        assert_eq!(
            fs::read(host.object(&digest)).expect("the object"),
            samples::oci_index(2)
        );
        let names = host.object(".skopeo-index/names");
        let names = fs::read_to_string(names).expect("names");
        assert!(
            names.starts_with(&digest) && names.ends_with("/app\n"),
            "{names}"
        );
        let (status, stdout) = host.finish();
        assert_eq!(status, Some(0));
        let lines: Vec<_> = stdout.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].starts_with("1/1 127.0.0.1:"),
            "{stdout}"
        );
        assert!(
            lines[0].contains("… fetched, ") && lines[1].contains("… cached, "),
            "{stdout}"
        );
    }
}

#[test]
fn download_of_no_items_is_a_success() {
    let host = Host::start(Version::V190);
    let message = host.download(&json!({}));
    assert_eq!(reply(&message)["success"], true);
    assert_eq!(reply(&message)["results"], json!([]));
    assert!(host.cache().join("org.osbuild.files").is_dir());
}

#[test]
fn download_of_a_corrupt_object_fetches_it_again() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let host = Host::start(Version::V190);
    let items = items(registry.address(), [digest.as_str()]);
    host.download(&items);
    fs::write(host.object(&digest), "x").expect("the object");
    let message = host.download(&items);
    assert_eq!(reply(&message)["results"][0]["metadata"]["cached"], false);
    assert_eq!(
        fs::read(host.object(&digest)).expect("the object"),
        samples::empty()
    );
}

#[test]
fn download_leaves_foreign_objects_untouched() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let host = Host::start(Version::V190);
    let files = host.cache().join("org.osbuild.files");
    fs::create_dir_all(&files).expect("a directory");
    let foreign = [
        "sha256:0".to_owned(),
        test_support::loopback::digest(b"a package"),
        "md5:1".to_owned(),
        "staging-x".to_owned(),
    ];
    for name in &foreign {
        fs::write(files.join(name), "corrupt, perhaps").expect("a file");
    }
    host.download(&items(registry.address(), [digest.as_str()]));
    for name in &foreign {
        assert_eq!(
            fs::read_to_string(files.join(name)).expect("a file"),
            "corrupt, perhaps"
        );
    }
}

#[test]
fn download_of_invalid_items_fails_only_them_and_creates_nothing() {
    let registry = Registry::start();
    let good = registry.put(samples::empty());
    let name = format!("{}/app", registry.address());
    let bad = [
        (
            format!("{good}/../../../escaped"),
            json!({ "image": { "name": name } }),
        ),
        (good.to_uppercase(), json!({ "image": { "name": name } })),
        (good[..70].to_owned(), json!({ "image": { "name": name } })),
        (
            test_support::loopback::digest(b"1"),
            json!({ "image": { "name": "--authfile=/etc/shadow" } }),
        ),
        (
            test_support::loopback::digest(b"2"),
            json!({ "image": { "name": format!("{name}@{good}") } }),
        ),
        (
            test_support::loopback::digest(b"3"),
            json!({ "image": {
            "name": name, "containers-transport": "containers-storage", "storage-location": "/a+b",
        } }),
        ),
        (
            test_support::loopback::digest(b"4"),
            json!({ "image": {
            "name": name, "containers-transport": "containers-storage", "storage-location": "../a",
        } }),
        ),
        (
            test_support::loopback::digest(b"5"),
            json!({ "image": { "name": name, "containers-transport": "dir" } }),
        ),
        (
            test_support::loopback::digest(b"6"),
            json!({ "image": { "name": 1 } }),
        ),
        (
            test_support::loopback::digest(b"7"),
            json!({ "image": { "name": name }, "more": 1 }),
        ),
    ];
    let mut items = items(registry.address(), [good.as_str()]);
    for (key, item) in &bad {
        items[key] = item.clone();
    }
    let host = Host::start(Version::V190);
    let before = host.all_paths();
    let message = host.download(&items);
    let results = reply(&message)["results"].as_array().expect("results");
    let named = |result: &Value| {
        let error = result["error"].as_str().expect("a text");
        error.is_empty() || error.contains("(\"") || error.contains(": name is not a string")
    };
    assert!(results.iter().all(named), "{message}");
    let failed = results
        .iter()
        .filter(|result| result["success"] == false)
        .count();
    assert_eq!((results.len(), failed), (bad.len() + 1, bad.len()));
    // Nothing was created at a path that a key or a location may lead to.
    let mut created = host.all_paths();
    created.retain(|path| !before.contains(path));
    let files = host.cache().join("org.osbuild.files");
    let (private, object) = (files.join(".skopeo-index"), files.join(good));
    let store = host.cache().parent().expect("a store").to_owned();
    let (lock, names) = (private.join("lock"), private.join("names"));
    assert_eq!(
        created,
        [store, host.cache(), files, private, lock, names, object]
    );
}

#[test]
fn download_uses_tls_verify_of_the_environment_for_items_without() {
    let dir = tempfile::tempdir().expect("a directory");
    let (skopeo, argv) = (dir.path().join("skopeo"), dir.path().join("argv"));
    fs::write(&skopeo, "#!/bin/sh\necho \"$@\" > \"$OUT\"\nexit 1\n").expect("a script");
    test_support::loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
    let digest = test_support::loopback::digest(b"");
    for (variable, option) in [
        ("true", "--tls-verify=true"),
        ("false", "--tls-verify=false"),
    ] {
        let host = Host::start_with(Version::V190, |command| {
            command.env("SKOPEO_INDEX_SKOPEO", &skopeo);
            command.env("SKOPEO_INDEX_TLS_VERIFY", variable);
            command.env("OUT", &argv);
        });
        host.download(&json!({ &digest: { "image": { "name": "localhost/app" } } }));
        let argv = fs::read_to_string(&argv).expect("skopeo was started");
        assert!(argv.contains(option), "{argv}");
    }
}

#[test]
fn download_by_engine_auto_needs_no_skopeo() {
    let registry = Registry::start();
    let auth = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(auth.path(), "{}").expect("a file");
    let host = Host::start_with(Version::V190, |service| {
        service
            .env("SKOPEO_INDEX_ENGINE", "auto")
            .env("REGISTRY_AUTH_FILE", auth.path());
    });
    let digests = [1, 2].map(|n| registry.put(samples::distinct(n)));
    let items = items(registry.address(), digests.each_ref().map(String::as_str));
    assert_eq!(reply(&host.download(&items))["success"], true);
    for digest in &digests {
        assert!(host.object(digest).exists());
        assert_eq!(registry.requests(digest), 1);
    }
    // skopeo pings first.
    assert_eq!(registry.received().len(), 2);
}
