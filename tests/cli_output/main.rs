//! Help and printed output as people read them.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::json;
use test_support::loopback::samples;
use test_support::program::binary;
use test_support::program::harness::RunOutput;

fn stdout_of(args: &[&str]) -> String {
    let mut command = Command::new(binary());
    let output = command
        .args(args)
        .env("COLUMNS", "100")
        .output()
        .expect("the binary");
    let output = RunOutput::from(output);
    output.assert_status(0);
    output.stdout
}

/// The output of `inspect` for a file with these bytes.
fn inspect(bytes: impl AsRef<[u8]>, args: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("a file");
    let path: &Path = file.path();
    let path = path.to_str().expect("UTF-8");
    stdout_of(&[&["inspect", path], args].concat())
}

#[test]
fn states_in_every_format_are_the_transition_table() {
    assert_snapshot!("states", stdout_of(&["states"]));
    assert_snapshot!("states_mermaid", stdout_of(&["states", "--format=mermaid"]));
    assert_snapshot!("states_dot", stdout_of(&["states", "--format=dot"]));
}

#[test]
fn help_of_every_command_is_as_reviewed() {
    assert_snapshot!("help", stdout_of(&["--help"]));
    for command in [
        "fetch", "resolve", "inspect", "verify", "list", "prune", "audit", "schema", "states",
        "man",
    ] {
        assert_snapshot!(format!("help_{command}"), stdout_of(&[command, "--help"]));
    }
    for command in ["verify", "checkpoint", "keygen", "prove", "tiles", "export"] {
        let help = stdout_of(&["audit", command, "--help"]);
        assert_snapshot!(format!("help_audit_{command}"), help);
    }
}

#[test]
fn inspect_index_prints_its_manifests() {
    let index = samples::oci_index(3);
    assert_snapshot!("inspect", inspect(&index, &[]));
    assert_snapshot!("inspect_json", inspect(&index, &["--format=json"]));
}

#[test]
fn inspect_index_with_long_and_unprintable_texts_truncates_and_escapes_them() {
    let mut list = json!({ "schemaVersion": 2, "mediaType": samples::DOCKER_LIST, "manifests": [
        samples::descriptor(&"x".repeat(70_000), 0),
        samples::descriptor("a\u{1b}[31m\u{202e}\u{9b}", 1),
    ] });
    list["manifests"][1]["platform"] =
        json!({ "os": "windows", "architecture": "amd64", "os.version": "10.0.17763\u{7}" });
    list["manifests"][0]["digest"] = format!("other:{}", "y".repeat(70_000)).into();
    let list = list.to_string();
    assert_snapshot!("inspect_odd", inspect(&list, &[]));
    let json = inspect(&list, &["--format=json"]);
    assert!(
        json.trim_end().bytes().all(|b| (b' '..0x7f).contains(&b)),
        "{json}"
    );
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["manifests"][1]["osVersion"], "10.0.17763\u{7}");
}
