//! Classification.

use proptest::prelude::*;
use serde_json::{Value, json};
use skopeo_index::index::{Index, MANIFEST_MAX, MediaType, NotAnIndex};

use loopback::samples;

/// Keys as some reader may spell them; Go takes the last two for ASCII letters.
fn spelt(key: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        12 => Just(key.to_owned()),
        1 => Just(key.to_uppercase()),
        1 => Just(key.replace('s', "\u{17f}")),
        1 => Just(key.replace('k', "\u{212a}")),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("1".to_owned()),
        Just("2.0".to_owned()),
        Just("\"x\"".to_owned()),
        Just("NaN".to_owned()),
        Just(r#"{"a":1,"a":2}"#.to_owned()),
        Just(format!("[{}]", samples::descriptor(samples::OCI_IMAGE, 1))),
        Just(format!("\"{}\"", samples::OCI_INDEX)),
        Just(format!("\"{}\"", samples::OCI_IMAGE)),
    ]
}

/// Members of a document, as text: JSON values can't have a key twice.
fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    let good = |key, value: String| (spelt(key), Just(value)).boxed();
    let version =
        prop_oneof![9 => good("schemaVersion", "2".into()), 1 => good("schemaVersion", "1".into())];
    let list = format!("[{}]", samples::descriptor(samples::OCI_IMAGE, 0));
    let manifests = prop_oneof![
        4 => good("manifests", list),
        2 => good("manifests", "[]".into()),
        1 => (spelt("manifests"), value()).boxed(),
    ];
    let media_type = prop_oneof![
        3 => good("mediaType", format!("\"{}\"", samples::OCI_INDEX)),
        3 => good("mediaType", format!("\"{}\"", samples::DOCKER_LIST)),
        1 => (spelt("mediaType"), value()).boxed(),
    ];
    let names = [
        "config",
        "layers",
        "fsLayers",
        "history",
        "signatures",
        "subject",
        "annotations",
        "mediaType",
        "x",
    ];
    let more = prop::sample::select(names.to_vec()).prop_flat_map(|key| (spelt(key), value()));
    let media_type = prop::option::weighted(0.7, media_type);
    (
        version,
        manifests,
        media_type,
        prop::collection::vec(more, 0..2),
    )
        .prop_map(|(version, manifests, media_type, more)| {
            [version, manifests]
                .into_iter()
                .chain(media_type)
                .chain(more)
                .collect()
        })
}

fn text(members: &[(String, String)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The slow, obvious reading of the rules over the members themselves.
fn every_reader_takes_it_for_an_index(members: &[(String, String)]) -> bool {
    let folded = |key: &str| {
        key.replace('\u{17f}', "s")
            .replace('\u{212a}', "k")
            .to_lowercase()
    };
    let keys: Vec<String> = members.iter().map(|(key, _)| folded(key)).collect();
    let twice = (0..keys.len()).any(|a| (0..a).any(|b| keys[a] == keys[b]));
    let image = members.iter().any(|(key, value)| {
        ["config", "layers", "fslayers", "history", "signatures"].contains(&folded(key).as_str())
            && value != "null"
    });
    let exactly = |wanted: &str| {
        members
            .iter()
            .find(|(key, _)| key == wanted)
            .map(|(_, v)| v.as_str())
    };
    let respelt = members.iter().any(|(key, _)| {
        ["schemaVersion", "mediaType", "manifests"]
            .iter()
            .any(|k| folded(key) == folded(k) && key != k)
    });
    let index_type = exactly("mediaType").is_none_or(|value| {
        [samples::OCI_INDEX, samples::DOCKER_LIST]
            .iter()
            .any(|known| value == format!("\"{known}\""))
    });
    let list =
        exactly("manifests").is_some_and(|value| value == "[]" || value.starts_with("[{\"digest"));
    let json = members
        .iter()
        .all(|(_, value)| value != "NaN" && !value.contains("\"a\":1"));
    !twice
        && !image
        && !respelt
        && index_type
        && list
        && json
        && exactly("schemaVersion") == Some("2")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, ..crate::regressions("proptest-regressions/index.txt") })]

    #[test]
    fn an_index_is_what_every_reader_takes_for_one_and_nothing_else(members in members()) {
        let text = text(&members);
        let accepted = Index::parse(text.as_bytes());
        let expected = every_reader_takes_it_for_an_index(&members);
        prop_assert_eq!(accepted.is_ok(), expected, "{} {:?}", text, accepted);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _any = Index::parse(&bytes);
    }

    #[test]
    fn no_change_of_an_index_makes_it_panic(at: prop::sample::Index, byte: u8) {
        let mut bytes = samples::with_data();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _any = Index::parse(&bytes);
    }
}

#[test]
fn every_legal_kind_is_an_index() {
    let all = [
        samples::oci_index(3),
        samples::oci_index_without_media_type(),
        samples::docker_list(3),
        samples::nested(),
        samples::with_artifact_type(),
        samples::with_subject(),
        samples::with_data(),
        samples::empty(),
        samples::of_size(MANIFEST_MAX),
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
fn the_summary_tells_media_type_number_and_platforms() {
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
fn one_byte_more_than_4_mib_is_refused_unread() {
    let document = vec![b'{'; MANIFEST_MAX + 1];
    assert_eq!(
        Index::parse(&document),
        Err(NotAnIndex::TooLarge {
            size: MANIFEST_MAX as u64 + 1
        })
    );
}

#[test]
fn a_single_image_is_called_one_with_or_without_media_type() {
    let mut image: Value = serde_json::from_slice(&samples::single_image()).expect("JSON");
    for _ in 0..2 {
        let refusal = Index::parse(image.to_string().as_bytes()).expect_err("no index");
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

/// Refused although the Python source takes it: the table in README.
#[test]
fn what_the_python_source_takes_and_the_specification_does_not_is_refused() {
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
fn a_descriptor_needs_media_type_digest_and_size() {
    let good = samples::descriptor(samples::OCI_IMAGE, 0);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut descriptor = good.clone();
        change(&mut descriptor);
        let document = json!({ "schemaVersion": 2, "manifests": [good, descriptor] });
        Index::parse(document.to_string().as_bytes())
    };
    let changes: [(&str, Value); 9] = [
        ("digest", json!(null)),
        ("digest", json!("sha256:1")),
        ("digest", json!("SHA256:x")),
        ("size", json!(-1)),
        ("size", json!(1.5)),
        ("size", json!("1")),
        ("mediaType", json!("")),
        ("platform", json!({ "os": "linux" })),
        ("platform", json!([])),
    ];
    for (key, value) in changes {
        let parsed = with(&|descriptor| descriptor[key] = value.clone());
        assert!(
            matches!(parsed, Err(NotAnIndex::Descriptor { at: 1, .. })),
            "{key} {value}: {parsed:?}"
        );
    }
    assert!(with(&|descriptor| descriptor["digest"] = json!("sha512-x+y:abc_=")).is_ok());
    assert!(with(&|descriptor| descriptor["platform"] = json!(null)).is_ok());
}
