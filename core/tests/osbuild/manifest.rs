//! Manifests as producers write them and as jq cuts them.

use serde_json::{Value, json};
use skopeo_index_core::osbuild::parse_manifest;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn keys(manifest: &Value) -> Result<Vec<String>, String> {
    let items = parse_manifest(manifest.to_string().as_bytes()).map_err(|e| e.to_string())?;
    Ok(items.iter().map(|(key, _)| key.to_owned()).collect())
}

#[test]
fn items_are_found_in_a_manifest_and_in_each_part_of_it() {
    let items = json!({ DIGEST: { "image": { "name": "a" } } });
    for key in ["items", "digests"] {
        let source = json!({ key: items });
        let sources = json!({
            "org.osbuild.curl": { "items": { "sha256:00": "https://localhost" } },
            "org.osbuild.skopeo-index": source,
        });
        let manifest = json!({
            "version": "2", "pipelines": [{ "name": "build" }], "metadata": {}, "sources": sources,
        });
        for shape in [&items, &source, &sources, &manifest] {
            assert_eq!(keys(shape), Ok(vec![DIGEST.to_owned()]), "{shape}");
        }
    }
}

#[test]
fn manifest_without_our_source_has_no_items() {
    let curl = json!({ "org.osbuild.curl": { "items": { "sha256:00": {} } } });
    for shape in [
        json!({ "version": "2", "pipelines": [], "sources": curl }),
        json!({ "version": "2", "pipelines": [], "sources": {} }),
        json!({ "version": "2", "pipelines": [] }),
        json!({ "sources": { "org.osbuild.skopeo-index": { "items": {} } } }),
        curl,
        json!({ "items": {} }),
        json!({}),
        // What jq prints for a missing key.
        json!(null),
        json!({ "sources": null }),
        json!({ "sources": { "org.osbuild.skopeo-index": null } }),
        json!({ "org.osbuild.skopeo-index": null }),
        json!({ "items": null }),
    ] {
        assert_eq!(keys(&shape), Ok(vec![]), "{shape}");
    }
}

#[test]
fn other_forms_are_rejected() {
    let items = json!({ DIGEST: {} });
    for (shape, message) in [
        (
            json!([items]),
            "expected an osbuild manifest, or an object of its items",
        ),
        (
            json!("a"),
            "expected an osbuild manifest, or an object of its items",
        ),
        (json!({ "sources": 1 }), "expected an object at line 1"),
        (
            json!({ "org.osbuild.skopeo-index": {} }),
            "missing field `items`",
        ),
        (json!({ "items": [] }), "an object of items"),
        // serde takes an array for a struct.
        (
            json!({ "sources": [{ "items": items }] }),
            "invalid type: sequence, expected an object",
        ),
        (
            json!({ "sources": { "org.osbuild.skopeo-index": [items] } }),
            "invalid type: sequence, expected an object",
        ),
        (
            json!({ "org.osbuild.skopeo-index": [items] }),
            "invalid type: sequence, expected an object",
        ),
        (
            json!({ "items": items, "digests": items }),
            "more than one object of items",
        ),
        (
            json!({ "sources": { "org.osbuild.skopeo-index": { "items": items, "digests": items } } }),
            "duplicate field `items`",
        ),
        (
            json!({ "items": items, DIGEST: {} }),
            "unexpected key \"sha256:",
        ),
        (
            json!({ DIGEST: {}, "sources": {} }),
            "unexpected key \"sha256:",
        ),
    ] {
        let error = keys(&shape).expect_err("an error");
        assert!(error.contains(message), "{shape}: {error}");
    }
    let twice = format!("{{\"{DIGEST}\": 1, \"{DIGEST}\": 2}}");
    let error = parse_manifest(twice.as_bytes()).expect_err("an error");
    assert!(error.to_string().contains("duplicate key"), "{error}");
}
