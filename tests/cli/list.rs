//! `list`.

use std::fs;

use serde_json::{Value, json};
use test_support::loopback::{Registry, digest, samples};
use test_support::program::harness::{Cache, RunOutput};

/// A time that replaces that of a record, and its form in the output.
const PAST: (&str, &str) = ("1700000000", "2023-11-14T22:13:20Z");

/// Gives every name record the same time.
pub fn set_times(cache: &Cache) {
    let file = cache.path().join(".skopeo-index/names");
    let names = fs::read_to_string(&file).expect("names");
    let lines = names.lines().map(|line| {
        let mut fields: Vec<_> = line.split('\t').collect();
        fields[1] = PAST.0;
        fields.join("\t") + "\n"
    });
    fs::write(file, lines.collect::<String>()).expect("a file");
}

/// The lines of a run with `--format json`.
#[track_caller]
pub fn json_lines(output: &RunOutput) -> Vec<Value> {
    output.assert_status(0);
    let parse = |line| serde_json::from_str(line).expect("JSON");
    output.stdout.lines().map(parse).collect()
}

#[test]
fn list_prints_names_sizes_platforms_and_times() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (index, list) = (samples::oci_index(2), samples::docker_list(1));
    let digests = [&index, &list].map(|bytes| registry.put(bytes.clone()));
    let at = registry.address();
    let of = |name: &str, digest: &str| format!("{at}/{name}@{digest}");
    cache
        .fetch(&[&of("app:1", &digests[0]), &of("list", &digests[1])])
        .assert_status(0);
    // A hit by another name.
    cache.fetch(&[&of("other", &digests[0])]).assert_status(0);
    set_times(&cache);
    let other = samples::empty();
    fs::write(cache.object(&digest(&other)), &other).expect("an object");

    let mut expected = [
        json!({
            "digest": digests[0], "status": "intact", "reason": null, "size": index.len(),
            "mediaType": samples::OCI_INDEX, "manifests": 2,
            "platforms": ["linux/amd64", "linux/arm64/v8"],
            "names": [format!("{at}/app:1"), format!("{at}/other")], "lastUsed": PAST.1,
        }),
        json!({
            "digest": digests[1], "status": "intact", "reason": null, "size": list.len(),
            "mediaType": samples::DOCKER_LIST, "manifests": 1, "platforms": ["linux/amd64"],
            "names": [format!("{at}/list")], "lastUsed": PAST.1,
        }),
        json!({
            "digest": digest(&other), "status": "intact", "reason": null, "size": other.len(),
            "mediaType": samples::OCI_INDEX, "manifests": 0, "platforms": [],
            "names": null, "lastUsed": null,
        }),
    ];
    expected.sort_by_key(|object| object["digest"].to_string());
    assert_eq!(json_lines(&cache.run(["list", "--format=json"])), expected);

    let text = cache.run(["list"]);
    text.assert_status(0);
    let rows: Vec<Vec<&str>> = text
        .stdout
        .lines()
        .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect())
        .map(|row: Vec<&str>| row.into_iter().map(str::trim).collect())
        .collect();
    let head = ["DIGEST", "SIZE", "LAST USED", "NAMES", "PLATFORMS"];
    assert_eq!(rows[0], head);
    let (size, names) = (
        format!("{} B", index.len()),
        format!("{at}/app:1, {at}/other"),
    );
    let row: &[&str] = &[
        &digests[0],
        &size,
        PAST.1,
        &names,
        "linux/amd64, linux/arm64/v8",
    ];
    assert!(rows.iter().any(|found| found == row), "{text:#?}");
    let unknown: &[&str] = &[
        &digest(&other),
        &format!("{} B", other.len()),
        "-",
        "-",
        "-",
    ];
    assert!(rows.iter().any(|found| found == unknown), "{text:#?}");
}

#[test]
fn list_escapes_platforms_once_as_inspect_does() {
    let cache = Cache::new();
    let index = json!({"schemaVersion": 2, "mediaType": samples::OCI_INDEX, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
        "digest": digest(b""), "platform": {"os": "a\u{1b}[31m", "architecture": "b\\c"},
    }]});
    let index = index.to_string().into_bytes();
    fs::create_dir(cache.path()).expect("a directory");
    fs::write(cache.object(&digest(&index)), &index).expect("an object");
    for args in [&["list"][..], &["inspect", &digest(&index)]] {
        let output = cache.run(args);
        let shown = r"  a\u{1b}[31m/b\\c";
        assert!(
            format!("  {}", output.assert_status(0).stdout.replace('\n', "  ")).contains(shown),
            "{output:?}"
        );
    }
}

#[test]
fn list_shows_corrupt_object_and_hides_those_of_other_sources() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let index = registry.put(samples::empty());
    let reference = format!("{}/app@{index}", registry.address());
    let store = cache.beside("store");
    let in_store = |args: &[&str]| {
        let mut command = cache.command(args);
        command.arg("--store").arg(&store);
        RunOutput::from(command.output().expect("the binary"))
    };
    in_store(&["fetch", "--tls-verify=false", &reference]).assert_status(0);
    let files = store.join("sources/org.osbuild.files");
    fs::write(files.join(&index), "x").expect("the object");
    fs::write(files.join(digest(b"a package")), "a package").expect("an object");
    let listed = json_lines(&in_store(&["list", "--format=json"]));
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["status"], "corrupt");
    assert_eq!(listed[0]["size"], Value::Null);
    assert_eq!(
        listed[0]["names"],
        json!([format!("{}/app", registry.address())])
    );
    let text = in_store(&["list"]);
    assert!(text.stdout.ends_with("  CORRUPT\n"), "{text:?}");
}

#[test]
fn list_of_missing_cache_is_not_found_and_of_empty_one_is_empty() {
    let cache = Cache::new();
    cache
        .run(["list"])
        .assert_status(13)
        .assert_says("no cache at ");
    fs::create_dir(cache.path()).expect("a directory");
    for format in ["text", "json"] {
        let output = cache.run(["list", "--format", format]);
        assert_eq!(output.assert_status(0).stdout, "");
    }
}
