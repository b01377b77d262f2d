//! Container storages.

use test_support::loopback::{DockerRegistry, Storage};
use test_support::program::harness::Cache;

#[test]
fn storage_list_is_fetched_by_both_methods_and_as_item() {
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
            std::fs::read(cache.object(storage.digest())).expect("the object"),
            storage.list()
        );
    }
    // With a run root as well, as rootless hosts need.
    let run_root = tempfile::tempdir().expect("a directory");
    let location = &format!("{location}+{}", run_root.path().display());
    let cache = Cache::new();
    let source = format!("containers-storage:[overlay@{location}]{reference}");
    let output = cache.run(["fetch", "--format=json", &source]);
    output.assert_status(0);
    let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
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
fn storage_location_missing_is_not_created() {
    let cache = Cache::new();
    let location = cache.beside("nowhere");
    let digest = test_support::loopback::digest(b"");
    // A run root that exists changes nothing.
    let names = ["", "+/tmp"].map(|run_root| {
        let location = location.display();
        format!("containers-storage:[overlay@{location}{run_root}]localhost/app")
    });
    let references = names.each_ref().map(|name| format!("{name}@{digest}"));
    for args in [
        ["fetch", &references[0]],
        ["fetch", &references[1]],
        ["resolve", &names[0]],
        ["resolve", &names[1]],
    ] {
        cache
            .run(args)
            .assert_status(13)
            .assert_says("no container storage");
        assert!(!location.exists(), "{args:?}");
        std::fs::write(&location, "").expect("a file");
        cache
            .run(args)
            .assert_status(13)
            .assert_says("not a directory");
        std::fs::remove_file(&location).expect("the file");
    }
    cache.assert_empty();
}

#[test]
fn storage_without_the_image_is_not_found() {
    let registry = DockerRegistry::plain();
    let storage = Storage::with_list(&registry);
    let cache = Cache::new();
    let reference = format!(
        "{}@{}",
        storage.name(),
        test_support::loopback::digest(b"another")
    );
    let location = storage.location().to_str().expect("UTF-8");
    cache
        .run(["fetch", &reference, "--storage-location", location])
        .assert_status(13);
}

#[test]
fn storage_with_other_bytes_is_a_mismatch_whose_hint_names_the_storage() {
    let (registry, cache) = (DockerRegistry::plain(), Cache::new());
    let storage = Storage::with_list(&registry);
    let images = storage.location().join("overlay-images");
    let mut changed = 0;
    for image in std::fs::read_dir(images).expect("images").flatten() {
        let Ok(files) = std::fs::read_dir(image.path()) else {
            continue;
        };
        for file in files.flatten() {
            if std::fs::read(file.path()).expect("a file") == storage.list() {
                let text = String::from_utf8(storage.list().to_vec()).expect("JSON");
                std::fs::write(file.path(), text.replace("mips", "MIPS")).expect("a file");
                changed += 1;
            }
        }
    }
    assert!(changed > 0);
    let reference = format!("{}@{}", storage.name(), storage.digest());
    let location = storage.location().to_str().expect("UTF-8");
    let output = cache.run(["fetch", &reference, "--storage-location", location]);
    output
        .assert_status(10)
        .assert_says("hint: the container storage returned different content");
    cache.assert_empty();
}
