//! The index parser and the digest against skopeo itself.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use test_support::loopback::{Registry, samples};
use test_support::program::harness::Cache;

/// Number of documents: enough for every combination, few enough for two commands each.
const DOCUMENTS: usize = 300;

/// Documents that are, or almost are, an index.
fn document() -> impl Strategy<Value = Vec<u8>> {
    let version = prop_oneof![6 => Just(json!(2)), 1 => Just(json!(1)), 1 => Just(json!("2"))];
    let media_type = prop_oneof![
        3 => Just(Some(samples::OCI_INDEX)),
        3 => Just(Some(samples::DOCKER_LIST)),
        2 => Just(None),
        1 => Just(Some(samples::OCI_IMAGE)),
        1 => Just(Some("application/json")),
    ];
    let more = prop_oneof![
        8 => Just(None),
        1 => Just(Some(("config", json!({})))),
        1 => Just(Some(("signatures", json!([])))),
        1 => Just(Some(("layers", Value::Null))),
        2 => Just(Some(("annotations", json!({ "a": "\u{e9}\u{1f600}" })))),
        1 => Just(Some(("artifactType", json!("application/x")))),
    ];
    let spaces = prop_oneof![Just(""), Just("\n"), Just("  ")];
    (version, media_type, 0..4_usize, more, spaces).prop_map(
        |(version, media_type, manifests, more, spaces)| {
            let manifests: Vec<_> = (0..manifests)
                .map(|n| samples::descriptor(samples::OCI_IMAGE, n))
                .collect();
            let mut document = json!({ "schemaVersion": version, "manifests": manifests });
            if let Some(media_type) = media_type {
                document["mediaType"] = media_type.into();
            }
            if let Some((key, value)) = more {
                document[key] = value;
            }
            format!("{spaces}{document}{spaces}").into_bytes()
        },
    )
}

/// Output of `skopeo inspect --raw`; `None` where skopeo reports a digest mismatch. From
/// 1.19 on it does so for documents that look like signed manifests of version 1.
fn raw(reference: &str) -> Option<Vec<u8>> {
    let mut command = std::process::Command::new("skopeo");
    command.args(["inspect", "--raw", "--tls-verify=false"]);
    command.arg(format!("docker://{reference}"));
    let output = command.output().expect("skopeo");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || stderr.contains("provided manifest digest"),
        "{output:?}"
    );
    output.status.success().then_some(output.stdout)
}

#[test]
fn skopeo_agrees_on_bytes_and_digest_of_every_index() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let mut runner = TestRunner::deterministic();
    let documents: Vec<_> = (0..DOCUMENTS)
        .map(|_| {
            document()
                .new_tree(&mut runner)
                .expect("a document")
                .current()
        })
        .collect();
    let file = cache.beside("document");
    let mut indexes = Vec::new();
    for document in &documents {
        let digest = registry.put(document.clone());
        let raw = raw(&format!("{}/app@{digest}", registry.address()));
        let is_index = Index::parse(document).is_ok();
        // Only documents that aren't indexes may be refused over their digest.
        assert!(raw.is_some() || !is_index, "skopeo refuses an index");
        if let Some(raw) = raw {
            assert_eq!(&raw, document, "skopeo changes the bytes");
        }
        if !is_index {
            continue;
        }
        std::fs::write(&file, document).expect("a file");
        let computed = test_support::loopback::run(
            "skopeo",
            &["manifest-digest", file.to_str().expect("UTF-8")],
        );
        assert_eq!(
            String::from_utf8_lossy(&computed).trim(),
            Digest::of(document).to_string()
        );
        indexes.push(digest);
    }
    indexes.sort();
    indexes.dedup();
    assert!(indexes.len() > 20, "too few indexes: {}", indexes.len());

    // `fetch` accepts exactly these.
    let references: Vec<String> = documents
        .iter()
        .map(|document| {
            format!(
                "{}/app@{}",
                registry.address(),
                test_support::loopback::digest(document)
            )
        })
        .collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    cache.fetch(&references).assert_status(11);
    assert_eq!(cache.objects(), indexes);
}
