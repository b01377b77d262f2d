//! Classification.

use proptest::prelude::*;
use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{
    MediaTypeOrigin, Descriptor, Index, MAX_MANIFEST_SIZE, MAX_SUMMARY_PLATFORMS, MediaType, NotAnIndex,
};

use test_support::loopback::samples;

proptest! {
    #![proptest_config(crate::regressions("proptest-regressions/index.txt"))]

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
    let document = vec![b'{'; MAX_MANIFEST_SIZE + 1];
    assert_eq!(
        Index::parse(&document),
        Err(NotAnIndex::TooLarge {
            size: MAX_MANIFEST_SIZE as u64 + 1
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

#[test]
fn what_is_no_json_is_refused() {
    let good = br#"{"schemaVersion":2,"manifests":[],"x":1}"#;
    assert!(Index::parse(good).is_ok());
    let with = |x: &[u8]| [&good[..good.len() - 2], x, b"}"].concat();
    let bad = [
        [b"\xef\xbb\xbf", &good[..]].concat(),
        [&good[..], b"{}"].concat(),
        [&good[..], b"\0"].concat(),
        [&good[..], b","].concat(),
        with(b"NaN"),
        with(b"-Infinity"),
        with(b"01"),
        with(b"1."),
        with(b"'x'"),
        with(b"\"\\ud800\""),
        with(b"\"\xff\""),
        with(b"\"\xed\xa0\x80\""),
        with(b"\"\n\""),
        with(b"1,"),
        with(b"1/**/"),
        with("[".repeat(100_000).as_bytes()),
    ];
    for document in bad {
        let parsed = Index::parse(&document);
        let shown = String::from_utf8_lossy(&document[..document.len().min(80)]).into_owned();
        assert!(
            matches!(parsed, Err(NotAnIndex::NotJson { .. })),
            "{shown}: {parsed:?}"
        );
    }
}

#[test]
fn only_the_integer_2_is_the_version_2() {
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
fn two_keys_that_go_takes_for_one_are_refused() {
    for [one, two] in [
        ["link", "LINK"],
        ["link", "lin\u{212a}"],
        ["os", "o\u{17f}"],
        ["x", "x"],
    ] {
        let document = format!(r#"{{"schemaVersion":2,"manifests":[],"{one}":1,"{two}":2}}"#);
        let parsed = Index::parse(document.as_bytes());
        assert!(
            matches!(parsed, Err(NotAnIndex::DuplicateKey { .. })),
            "{document}: {parsed:?}"
        );
    }
    let document = r#"{"schemaVersion":2,"manifests":[],"ä":1,"Ä":2}"#;
    assert!(
        Index::parse(document.as_bytes()).is_ok(),
        "no reader folds these"
    );
}

#[test]
fn a_digest_of_a_known_algorithm_has_its_length() {
    let digits = |n| "a".repeat(n);
    let table = [
        (format!("sha256:{}", digits(64)), true),
        (format!("sha256:{}", digits(63)), false),
        (format!("sha256:{}", digits(64).to_uppercase()), false),
        (format!("sha512:{}", digits(128)), true),
        (format!("sha512:{}", digits(64)), false),
        (format!("sha512:{}g", digits(127)), false),
        ("a.b+c_d-e:Zz9=_-".to_owned(), true),
        ("a..b:x".to_owned(), false),
        ("A:x".to_owned(), false),
        ("a:".to_owned(), false),
        (":a".to_owned(), false),
        ("a:b:c".to_owned(), false),
        ("a".to_owned(), false),
    ];
    for (digest, good) in table {
        let mut descriptor = samples::descriptor(samples::OCI_IMAGE, 0);
        descriptor["digest"] = json!(digest);
        let document = json!({ "schemaVersion": 2, "manifests": [descriptor] });
        assert_eq!(
            Index::parse(document.to_string().as_bytes()).is_ok(),
            good,
            "{digest}"
        );
    }
}

#[test]
fn a_descriptor_tells_all_that_was_read() {
    let digest = Digest::of(b"").to_string();
    let whole = json!({
        "mediaType": "a/b", "digest": digest, "size": 7, "artifactType": "c/d",
        "platform": { "os": "windows", "architecture": "arm", "variant": "v7", "os.version": "10.0" },
    });
    let bare = json!({
        "mediaType": "a/b", "digest": digest, "size": 0, "artifactType": null,
        "platform": { "os": "linux", "architecture": "s390x", "variant": "" },
    });
    let document = json!({ "schemaVersion": 2, "manifests": [whole, bare] }).to_string();
    let index = Index::parse(document.as_bytes()).expect("an index");
    assert_eq!(
        (index.media_type(), index.media_type_origin()),
        (MediaType::OciImageIndex, MediaTypeOrigin::Implied)
    );
    let [whole, bare] = index.manifests() else {
        panic!("{index:?}")
    };
    assert_eq!(
        (whole.media_type(), whole.digest(), whole.size()),
        ("a/b", digest.as_str(), 7)
    );
    assert_eq!(
        (whole.artifact_type(), bare.artifact_type()),
        (Some("c/d"), None)
    );
    let platform = |descriptor: &Descriptor| descriptor.platform().expect("a platform").clone();
    let (whole, bare) = (platform(whole), platform(bare));
    assert_eq!((whole.os(), whole.architecture()), ("windows", "arm"));
    assert_eq!(
        (whole.variant(), whole.os_version()),
        (Some("v7"), Some("10.0"))
    );
    assert_eq!((bare.variant(), bare.os_version()), (Some(""), None));
    assert_eq!(format!("{whole} {bare}"), "windows/arm/v7 linux/s390x");
}

#[test]
fn a_long_platform_is_shown_cut_and_a_summary_names_no_more_than_it_may() {
    let of = |os: &str| {
        let mut descriptor = samples::descriptor(samples::OCI_IMAGE, 0);
        descriptor["platform"] = json!({ "os": os, "architecture": "a" });
        descriptor
    };
    let summary = |manifests: Vec<Value>| {
        let document = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
        Index::parse(document.as_bytes())
            .expect("an index")
            .summary()
    };
    let whole = "ä".repeat(32);
    let shown = summary(vec![of(&whole), of(&"ä".repeat(33)), of("\n")]).platforms;
    assert_eq!(
        shown,
        [
            format!("{whole}/a"),
            format!("{whole}…/a"),
            r"\n/a".to_owned()
        ]
    );

    let many = summary((0..40).map(|n| of(&n.to_string())).collect());
    assert_eq!(
        (many.manifests, many.platforms.len()),
        (40, MAX_SUMMARY_PLATFORMS)
    );
}
