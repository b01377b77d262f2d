//! Texts that people and programs read.

use std::fmt::Display;
use std::process::Command;
use std::str::FromStr;

use insta::assert_snapshot;
use test_support::loopback::samples;
use serde_json::json;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{CancelReason, Cause, EffectError, FailureKind};
use skopeo_index_core::request::{ImageName, Reference, Request, StorageLocation, Transport};

fn ours(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
    let ran = command
        .args(args)
        .env("COLUMNS", "100")
        .output()
        .expect("the binary");
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).expect("UTF-8")
}

#[test]
fn the_drawn_machine() {
    assert_snapshot!("states", ours(&["states"]));
    assert_snapshot!("states_mermaid", ours(&["states", "--format=mermaid"]));
    assert_snapshot!("states_dot", ours(&["states", "--format=dot"]));
}

#[test]
fn help() {
    assert_snapshot!("help", ours(&["--help"]));
    for command in [
        "fetch", "resolve", "inspect", "verify", "audit", "states", "man",
    ] {
        assert_snapshot!(format!("help_{command}"), ours(&[command, "--help"]));
    }
}

#[test]
fn an_inspected_index() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), samples::oci_index(3)).expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    assert_snapshot!("inspect", ours(&["inspect", path]));
    assert_snapshot!("inspect_json", ours(&["inspect", path, "--format=json"]));
}

/// Of an index whose texts are as long as they like.
#[test]
fn an_inspected_index_of_long_and_odd_texts() {
    let mut list = json!({ "schemaVersion": 2, "mediaType": samples::DOCKER_LIST, "manifests": [
        samples::descriptor(&"x".repeat(70_000), 0),
        samples::descriptor("a\u{1b}[31m\u{202e}\u{9b}", 1),
    ] });
    list["manifests"][1]["platform"] =
        json!({ "os": "windows", "architecture": "amd64", "os.version": "10.0.17763\u{7}" });
    list["manifests"][0]["digest"] = format!("other:{}", "y".repeat(70_000)).into();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), list.to_string()).expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    assert_snapshot!("inspect_odd", ours(&["inspect", path]));
    let json = ours(&["inspect", path, "--format=json"]);
    assert!(
        json.trim_end().bytes().all(|b| (b' '..0x7f).contains(&b)),
        "{json}"
    );
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["manifests"][1]["osVersion"], "10.0.17763\u{7}");
}

#[test]
fn why_something_is_no_index() {
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
        br#"{"schemaVersion":2,"manifests":{}}"#.to_vec(),
        br#"{"schemaVersion":2,"manifests":[],"x":1,"x":2}"#.to_vec(),
        br#"{"schemaVersion":2,"Manifests":[]}"#.to_vec(),
        br#"{"schemaVersion":2,"manifests":[{}]}"#.to_vec(),
        br#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:1","size":1}]}"#
            .to_vec(),
        vec![b' '; skopeo_index_core::index::MAX_MANIFEST_SIZE + 1],
    ];
    let refusals = documents
        .iter()
        .map(|document| match Index::parse(document) {
            Ok(_) => panic!("an index: {}", String::from_utf8_lossy(document)),
            Err(refusal) => {
                crate::assert_in_order(&refusal);
                refusal.to_string()
            }
        });
    assert_snapshot!("not_an_index", refusals.collect::<Vec<_>>().join("\n"));
}

#[test]
fn why_a_fetch_fails() {
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let command = |class| EffectError::Command {
        class,
        message: "what \u{1b}[31mskopeo said".into(),
    };
    let causes = [
        Cause::NotAnIndex {
            why: Index::parse(b"[]").expect_err("no index"),
        },
        Cause::DigestMismatch {
            expected: one,
            actual: two,
        },
        Cause::SkopeoDigestMismatch {
            ours: one,
            skopeo: "\u{7}".into(),
        },
        Cause::CopyMismatch {
            copied: one,
            read: two,
        },
        Cause::ReadBackMismatch { read: two },
        Cause::Offline { quarantined: None },
        Cause::Offline {
            quarantined: Some("q.1".into()),
        },
        Cause::EffectFailed {
            trouble: command(FailureKind::NotFound),
        },
        Cause::RetriesExhausted {
            attempts: 1,
            trouble: command(FailureKind::Network),
        },
        Cause::RetriesExhausted {
            attempts: 3,
            trouble: command(FailureKind::Timeout),
        },
        Cause::EffectFailed {
            trouble: EffectError::Disk {
                doing: "write".into(),
                path: "/x".into(),
                error: "full".into(),
            },
        },
        Cause::EffectFailed {
            trouble: EffectError::Cancelled {
                why: CancelReason::Interrupted,
            },
        },
        Cause::EffectFailed {
            trouble: EffectError::Cancelled {
                why: CancelReason::Deadline,
            },
        },
        Cause::EffectFailed {
            trouble: EffectError::Cancelled {
                why: CancelReason::HungUp,
            },
        },
        Cause::EffectFailed {
            trouble: EffectError::AuditLog {
                error: "full".into(),
            },
        },
    ];
    assert_snapshot!("causes", causes.each_ref().map(Cause::to_string).join("\n"));
    let json = causes.map(|cause| {
        crate::assert_in_order(&cause);
        let json = serde_json::to_string(&cause).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Cause>(&json).expect("a cause"),
            cause
        );
        json
    });
    assert_snapshot!("causes_json", json.join("\n"));
}

fn refusals<T: FromStr<Err: Display>>(texts: &[&str]) -> String {
    let refusal = |text: &&str| match text.parse::<T>() {
        Ok(_) => panic!("{text} is accepted"),
        Err(refusal) => format!("{}: {refusal}", text.escape_debug()),
    };
    texts.iter().map(refusal).collect::<Vec<_>>().join("\n")
}

#[test]
fn why_a_text_is_no_digest() {
    let texts = [
        "",
        "sha512:00",
        "sha256:ab",
        &format!("sha256:{}G", "0".repeat(63)),
    ];
    assert_snapshot!(refusals::<Digest>(&texts));
}

#[test]
fn why_a_text_is_no_name() {
    let (long, id) = ("a".repeat(255), "0".repeat(64));
    let texts = ["", "a@b", "-a.b/c", "App", "a//b", "a:-", &id, &long];
    assert_snapshot!(refusals::<ImageName>(&texts).replace(&long, "aaa…"));
}

#[test]
fn why_a_text_is_no_location_and_no_transport() {
    let long = format!("/{}", "x".repeat(4095));
    let texts = [
        "",
        "x",
        "//",
        "/x/../y",
        "/x:y",
        "/x\u{1b}[31m",
        "/\u{202e}x",
        &long,
    ];
    let locations = refusals::<StorageLocation>(&texts).replace(&long, "/xxx…");
    let transports = refusals::<Transport>(&["", "dir", "docker\u{1b}[31m"]);
    assert_snapshot!(format!("{locations}\n{transports}"));
}

#[test]
fn why_a_text_is_no_reference() {
    let texts = [
        "dir:/x",
        "docker://",
        "docker://[overlay@/x]a",
        "containers-storage:[overlay@/x",
        "containers-storage:[vfs@/x]a",
        "containers-storage:[overlay@x]a",
        "a@sha256:00",
        "a@sha256:00@sha256:00",
    ];
    assert_snapshot!(refusals::<Reference>(&texts));
}

#[test]
fn why_an_item_is_no_request() {
    let key = Digest::of(b"").to_string();
    let image = |image| json!({ "image": image });
    let items = [
        ("x", image(json!({ "name": "a" }))),
        (key.as_str(), json!(1)),
        (&key, json!({})),
        (&key, json!({ "image": {}, "\u{1b}[31m": 1 })),
        (&key, image(json!([]))),
        (&key, image(json!({ "name": 1 }))),
        (&key, image(json!({ "name": "A" }))),
        (&key, image(json!({ "name": "a", "tls-verify": 1 }))),
        (
            &key,
            image(json!({ "name": "a", "containers-transport": "oci" })),
        ),
        (
            &key,
            image(json!({ "name": "a", "storage-location": "/x" })),
        ),
        (&key, image(json!({ "name": "a", "storage-location": "x" }))),
    ];
    let refusals = items.map(|(key, item)| {
        let refusal = Request::from_item(key, &item).expect_err("no request");
        format!("{item}: {refusal}").escape_debug().to_string()
    });
    assert_snapshot!(refusals.join("\n"));
}

#[test]
fn why_a_descriptor_is_none() {
    let good = json!({ "mediaType": "a/b", "digest": Digest::of(b""), "size": 1 });
    let changes = [
        ("mediaType", json!("")),
        ("mediaType", json!(1)),
        ("digest", json!("sha256:\u{1b}[31m")),
        ("size", json!(-1)),
        ("platform", json!({ "os": "linux" })),
        ("platform", json!({ "os": 1, "architecture": "" })),
        ("platform", json!({ "OS": "linux", "architecture": "" })),
        ("MediaType", json!("a/b")),
        ("ArtifactType", json!("a/b")),
    ];
    let mut documents = vec![
        json!(1).to_string(),
        json!({}).to_string(),
        r#"{"x":1,"x":1}"#.to_owned(),
    ];
    documents.extend(changes.map(|(key, value)| {
        let mut descriptor = good.clone();
        descriptor[key] = value;
        descriptor.to_string()
    }));
    let refusals = documents.iter().map(|descriptor| {
        let document = format!(r#"{{"schemaVersion":2,"manifests":[{good},{descriptor}]}}"#);
        match Index::parse(document.as_bytes()) {
            Ok(_) => panic!("{document} is accepted"),
            Err(refusal) => refusal.to_string(),
        }
    });
    assert_snapshot!(refusals.collect::<Vec<_>>().join("\n"));
}
