//! The rules of the top-level object, and the summary.

use crate::support::property::config;
use crate::support::samples;
use proptest::prelude::*;
use serde_json::{Value, json};
use skopeo_index_core::index::{Index, MAX_MANIFEST_SIZE, MediaType, MediaTypeOrigin, NotAnIndex};

proptest! {
    #![proptest_config(config(256, "index.txt"))]

    #[test]
    fn parse_of_any_bytes_does_not_panic(bytes: Vec<u8>) {
        let _result = Index::parse(&bytes);
    }

    #[test]
    fn parse_of_a_changed_index_does_not_panic(at: prop::sample::Index, byte: u8) {
        let mut bytes = samples::with_data();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _result = Index::parse(&bytes);
    }
}

#[test]
fn every_legal_form_of_index_is_accepted() {
    let all = [
        samples::oci_index(3),
        samples::oci_index_without_media_type(),
        samples::docker_list(3),
        samples::nested(),
        samples::with_artifact_type(),
        samples::with_subject(),
        samples::with_data(),
        samples::empty(),
        samples::of_size(MAX_MANIFEST_SIZE),
    ];
    for document in all {
        let parsed = Index::parse(&document);
        assert!(
            parsed.is_ok(),
            "{parsed:?}: {}",
            String::from_utf8_lossy(&document[..200.min(document.len())])
        );
    }
}

#[test]
fn summary_has_media_type_count_and_platforms() {
    let summary = Index::parse(&samples::docker_list(6))
        .expect("an index")
        .summary();
    assert_eq!(summary.media_type, MediaType::DockerManifestList);
    assert_eq!(summary.manifests, 6);
    assert_eq!(
        summary.platforms,
        [
            "linux/amd64",
            "linux/arm64/v8",
            "linux/s390x",
            "linux/ppc64le",
            "linux/riscv64"
        ]
    );
}

#[test]
fn document_above_4_mib_is_too_large() {
    let document = vec![b'{'; MAX_MANIFEST_SIZE + 1];
    assert_eq!(
        Index::parse(&document),
        Err(NotAnIndex::TooLarge {
            size: MAX_MANIFEST_SIZE as u64 + 1
        })
    );
}

#[test]
fn single_image_is_recognized_with_and_without_media_type() {
    let mut image: Value = serde_json::from_slice(&samples::single_image()).expect("JSON");
    for _ in 0..2 {
        let refusal = Index::parse(image.to_string().as_bytes()).expect_err("not an index");
        assert!(
            matches!(refusal, NotAnIndex::SingleImage { .. }),
            "{refusal}"
        );
        image
            .as_object_mut()
            .expect("an object")
            .remove("mediaType");
    }
}

#[test]
fn media_type_null_is_absent() {
    let index = Index::parse(br#"{"schemaVersion":2,"mediaType":null,"manifests":[]}"#);
    let index = index.expect("an index");
    assert_eq!(index.media_type(), MediaType::OciImageIndex);
    assert_eq!(index.media_type_origin(), MediaTypeOrigin::Implied);
    let image = Index::parse(br#"{"schemaVersion":2,"mediaType":null,"config":{}}"#);
    assert_eq!(image, Err(NotAnIndex::SingleImage { media_type: None }));
}

#[test]
fn document_of_another_kind_has_no_list_of_manifests_first() {
    let documents = [
        "{}",
        r#"{"errors":[{"code":"DENIED"}]}"#,
        r#"{"a":1,"a":2,"SchemaVersion":1}"#,
        r#"{"mediaType":"application/problem+json","schemaVersion":1}"#,
        r#"{"mediaType":7,"manifests":null}"#,
    ];
    for document in documents {
        let reason = Index::parse(document.as_bytes())
            .expect_err("refused")
            .to_string();
        assert!(
            reason.starts_with("the document has no list of manifests"),
            "{reason}"
        );
    }
}

/// The table in docs/index-validation.md.
#[test]
fn documents_that_only_the_python_source_accepts_are_rejected() {
    let documents = [
        json!({ "schemaVersion": 2, "manifests": "x" }).to_string(),
        json!({ "schemaVersion": 1, "manifests": [] }).to_string(),
        json!({ "manifests": [] }).to_string(),
        json!({ "schemaVersion": 2, "manifests": [], "config": {} }).to_string(),
        json!({ "schemaVersion": 2, "mediaType": samples::OCI_INDEX }).to_string(),
        json!({ "schemaVersion": 2, "mediaType": samples::OCI_INDEX, "manifests": null })
            .to_string(),
        json!({ "schemaVersion": 2, "manifests": [{}] }).to_string(),
        r#"{"schemaVersion": 2, "manifests": [], "x": NaN}"#.to_owned(),
        r#"{"schemaVersion": 2, "manifests": [], "manifests": []}"#.to_owned(),
        r#"{"schemaVersion": 2, "manifests": [], "Manifests": null}"#.to_owned(),
    ];
    for document in documents {
        assert!(Index::parse(document.as_bytes()).is_err(), "{document}");
    }
}

#[test]
fn schema_version_other_than_integer_2_is_rejected() {
    for version in [
        "2.0",
        "2e0",
        "20e-1",
        "\"2\"",
        "1",
        "3",
        "null",
        "true",
        "[2]",
        "2000000000000000000000",
    ] {
        let document = format!(r#"{{"schemaVersion":{version},"manifests":[]}}"#);
        let parsed = Index::parse(document.as_bytes());
        assert!(
            matches!(parsed, Err(NotAnIndex::SchemaVersion { .. })),
            "{version}: {parsed:?}"
        );
    }
}

#[test]
fn every_reason_has_a_message_and_sorted_keys() {
    let documents: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"[]".to_vec(),
        samples::single_image(),
        samples::both_at_once(),
        br#"{"schemaVersion":2,"mediaType":"text/\u001b[31mred","manifests":[]}"#.to_vec(),
        br#"{"schemaVersion":2,"mediaType":1,"manifests":[]}"#.to_vec(),
        br#"{"schemaVersion":1,"manifests":[]}"#.to_vec(),
        br#"{"manifests":[]}"#.to_vec(),
        br#"{"schemaVersion":2}"#.to_vec(),
        br#"{"mediaType":"text/\u001b[31mred"}"#.to_vec(),
        br#"{"x":1e999}"#.to_vec(),
        br#"{"schemaVersion":2,"manifests":{}}"#.to_vec(),
        br#"{"schemaVersion":2,"manifests":[],"x":1,"x":2}"#.to_vec(),
        br#"{"schemaVersion":2,"Manifests":[]}"#.to_vec(),
        br#"{"schemaVersion":2,"manifests":[{}]}"#.to_vec(),
        br#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:1","size":1}]}"#
            .to_vec(),
        vec![b' '; MAX_MANIFEST_SIZE + 1],
    ];
    let messages = documents
        .iter()
        .map(|document| match Index::parse(document) {
            Ok(_) => panic!("an index: {}", String::from_utf8_lossy(document)),
            Err(reason) => {
                let written = serde_json::to_string(&reason).expect("JSON");
                let sorted = serde_json::to_value(&reason).expect("JSON").to_string();
                assert_eq!(written, sorted);
                reason.to_string()
            }
        });
    insta::assert_snapshot!(
        "not_an_index_messages",
        messages.collect::<Vec<_>>().join("\n")
    );
}
