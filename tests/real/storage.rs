//! Container storages.

use test_support::loopback::{DockerRegistry, Storage};

use crate::harness::Cache;

#[test]
fn a_list_is_fetched_from_a_container_storage() {
    let registry = DockerRegistry::plain();
    let storage = Storage::with_list(&registry);
    let reference = format!("{}@{}", storage.name(), storage.digest());
    let location = storage.location().to_str().expect("UTF-8");
    for method in ["raw", "copy"] {
        let cache = Cache::new();
        let args = [
            "fetch",
            &reference,
            "--storage-location",
            location,
            "--method",
            method,
        ];
        cache.run(args).assert_status(0);
        assert_eq!(
            std::fs::read(cache.object(storage.digest())).expect("it"),
            storage.list()
        );
    }
    let cache = Cache::new();
    let source = format!("containers-storage:[overlay@{location}]{reference}");
    let ran = cache.run(["fetch", "--format=json", &source]);
    ran.assert_status(0);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        (&json["source"], &json["reference"]),
        (&source.into(), &reference.into())
    );

    let items = serde_json::json!({ storage.digest(): { "image": {
        "name": storage.name(), "containers-transport": "containers-storage", "storage-location": location,
    } } });
    let (cache, file) = (Cache::new(), cache.beside("items.json"));
    std::fs::write(&file, items.to_string()).expect("a file");
    cache
        .run(["fetch", "--manifest", file.to_str().expect("UTF-8")])
        .assert_status(0);
}

#[test]
fn a_storage_that_is_not_there_is_not_made() {
    let cache = Cache::new();
    let location = cache.beside("nowhere");
    let name = format!(
        "containers-storage:[overlay@{}]localhost/app",
        location.display()
    );
    let reference = format!("{name}@{}", test_support::loopback::digest(b""));
    for args in [["fetch", &reference], ["resolve", &name]] {
        cache
            .run(args)
            .assert_status(13)
            .assert_says("no container storage");
        assert!(!location.exists(), "{args:?}");
        std::fs::write(&location, "").expect("a file");
        cache
            .run(args)
            .assert_status(13)
            .assert_says("it is not a directory");
        std::fs::remove_file(&location).expect("the file");
    }
    cache.assert_nothing_kept();
}

#[test]
fn an_image_that_the_storage_has_not_is_not_found() {
    let registry = DockerRegistry::plain();
    let storage = Storage::with_list(&registry);
    let cache = Cache::new();
    let reference = format!("{}@{}", storage.name(), test_support::loopback::digest(b"another"));
    let location = storage.location().to_str().expect("UTF-8");
    cache
        .run(["fetch", &reference, "--storage-location", location])
        .assert_status(13);
}
