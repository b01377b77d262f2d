//! Texts that people and programs read.

use std::process::Command;

use insta::assert_snapshot;
use loopback::samples;
use skopeo_index::digest::Digest;
use skopeo_index::index::Index;
use skopeo_index::machine::{Cause, Class, Stop, Trouble};

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
        vec![b' '; skopeo_index::index::MANIFEST_MAX + 1],
    ];
    let refusals = documents
        .iter()
        .map(|document| match Index::parse(document) {
            Ok(_) => panic!("an index: {}", String::from_utf8_lossy(document)),
            Err(refusal) => refusal.to_string(),
        });
    assert_snapshot!("not_an_index", refusals.collect::<Vec<_>>().join("\n"));
}

#[test]
fn why_a_fetch_fails() {
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let command = |class| Trouble::Command {
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
        Cause::OpinionDiffers {
            ours: one,
            skopeo: "\u{7}".into(),
        },
        Cause::RereadDiffers {
            copied: one,
            read: two,
        },
        Cause::ReadBackDiffers { read: two },
        Cause::Offline { quarantined: None },
        Cause::Offline {
            quarantined: Some("q.1".into()),
        },
        Cause::Trouble {
            trouble: command(Class::NotFound),
        },
        Cause::GaveUp {
            attempts: 1,
            trouble: command(Class::Network),
        },
        Cause::GaveUp {
            attempts: 3,
            trouble: command(Class::Timeout),
        },
        Cause::Trouble {
            trouble: Trouble::Disk {
                doing: "write".into(),
                path: "/x".into(),
                error: "full".into(),
            },
        },
        Cause::Trouble {
            trouble: Trouble::Stopped {
                why: Stop::Interrupted,
            },
        },
        Cause::Trouble {
            trouble: Trouble::Stopped {
                why: Stop::Deadline,
            },
        },
        Cause::Trouble {
            trouble: Trouble::Stopped { why: Stop::HungUp },
        },
        Cause::Trouble {
            trouble: Trouble::Unrecorded {
                error: "full".into(),
            },
        },
    ];
    assert_snapshot!("causes", causes.each_ref().map(Cause::to_string).join("\n"));
    let json = causes.map(|cause| {
        let json = serde_json::to_string(&cause).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Cause>(&json).expect("a cause"),
            cause
        );
        json
    });
    assert_snapshot!("causes_json", json.join("\n"));
}
