//! Descriptors and platforms.

use crate::support::samples;
use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{
    Descriptor, Index, MAX_SUMMARY_PLATFORMS, MediaType, MediaTypeOrigin, NotAnIndex,
};

#[test]
fn descriptor_with_missing_or_invalid_member_is_rejected() {
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
        ("platform", json!({ "os": 1 })),
        ("platform", json!([])),
    ];
    for (key, value) in changes {
        let parsed = with(&|descriptor| descriptor[key] = value.clone());
        assert!(
            matches!(parsed, Err(NotAnIndex::Descriptor { position: 1, .. })),
            "{key} {value}: {parsed:?}"
        );
    }
    assert!(with(&|descriptor| descriptor["digest"] = json!("sha512-x+y:abc_=")).is_ok());
    assert!(with(&|descriptor| descriptor["platform"] = json!(null)).is_ok());
}

#[test]
fn descriptor_digest_has_the_length_of_its_algorithm() {
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
fn descriptor_exposes_every_parsed_member() {
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
    assert_eq!(
        (whole.os(), whole.architecture()),
        (Some("windows"), Some("arm"))
    );
    assert_eq!(
        (whole.variant(), whole.os_version()),
        (Some("v7"), Some("10.0"))
    );
    assert_eq!((bare.variant(), bare.os_version()), (None, None));
    assert_eq!(format!("{whole} {bare}"), "windows/arm/v7 linux/s390x");
}

#[test]
fn incomplete_platform_is_accepted_and_shown_as_unknown() {
    let table = [
        (json!({}), "unknown/unknown"),
        (json!({ "os": "linux" }), "linux/unknown"),
        (
            json!({ "os": null, "architecture": "amd64" }),
            "unknown/amd64",
        ),
        (json!({ "os": "", "architecture": "" }), "unknown/unknown"),
        (
            json!({ "architecture": "arm", "variant": "v7" }),
            "unknown/arm/v7",
        ),
    ];
    for (platform, shown) in table {
        let mut descriptor = samples::descriptor(samples::OCI_IMAGE, 0);
        descriptor["platform"] = platform;
        let document = json!({ "schemaVersion": 2, "manifests": [descriptor] }).to_string();
        let index = Index::parse(document.as_bytes()).expect("an index");
        assert_eq!(index.summary().platforms, [shown]);
    }
}

#[test]
fn long_platform_is_truncated_and_summary_is_bounded() {
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

#[test]
fn every_descriptor_error_has_a_message() {
    let good = json!({ "mediaType": "a/b", "digest": Digest::of(b""), "size": 1 });
    let changes = [
        ("mediaType", json!("")),
        ("mediaType", json!(1)),
        ("digest", json!("sha256:\u{1b}[31m")),
        ("size", json!(-1)),
        ("platform", json!({ "os": 1, "architecture": "" })),
        ("platform", json!({ "OS": "linux", "architecture": "" })),
        ("MediaType", json!("a/b")),
        ("ArtifactType", json!("a/b")),
    ];
    let mut descriptors = vec![
        json!(1).to_string(),
        json!({}).to_string(),
        r#"{"x":1,"x":1}"#.to_owned(),
    ];
    descriptors.extend(changes.map(|(key, value)| {
        let mut descriptor = good.clone();
        descriptor[key] = value;
        descriptor.to_string()
    }));
    let messages = descriptors.iter().map(|descriptor| {
        let document = format!(r#"{{"schemaVersion":2,"manifests":[{good},{descriptor}]}}"#);
        match Index::parse(document.as_bytes()) {
            Ok(_) => panic!("{document} is accepted"),
            Err(reason) => reason.to_string(),
        }
    });
    insta::assert_snapshot!(
        "descriptor_error_messages",
        messages.collect::<Vec<_>>().join("\n")
    );
}
