//! A written log and the output of `audit` against the JSON schemas and against an
//! independent computation in Python.

use std::fs;
use std::process::Command;

use skopeo_index_core::audit::FindingKind;
use test_support::audit_log::lines;
use test_support::program::binary;
use test_support::schema::count_valid;

use crate::{logs, write_log};

/// The output of `skopeo-index audit`.
fn audit(args: &[&str]) -> std::process::Output {
    let mut command = Command::new(binary());
    command
        .arg("audit")
        .args(args)
        .output()
        .expect("the binary")
}

#[test]
fn written_records_are_valid_by_their_schema() {
    for log in logs() {
        let count = lines(log).len();
        assert_eq!(count_valid("record", log), (count, count));
    }
}

#[test]
fn every_kind_of_finding_is_documented() {
    let document = include_str!("../../docs/audit-log.md");
    let codes = FindingKind::codes().map(|(code, _)| format!("`{code}`"));
    let missing: Vec<_> = codes.filter(|code| !document.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn verify_json_output_is_valid_by_its_schema() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = write_log(dir.path());
    let whole = fs::read(&log).expect("a log");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let print = |args: &[&str]| audit(args).stdout;
    let (log, checkpoint, proof) = (path("log"), path("checkpoint"), path("proof"));
    fs::write(&checkpoint, print(&["checkpoint", &log])).expect("a file");
    fs::write(&proof, print(&["prove", &log, "--seq", "1"])).expect("a file");
    let verify = |more: &[&str]| print(&[&["verify", "--format=json"], more].concat());
    let cache = dir.path().to_str().expect("UTF-8");
    let verify_log = || verify(&[&log, "--checkpoint", &checkpoint, "--cache", cache]);
    let lines = lines(&whole);
    let (record, old) = (path("record"), path("old"));
    fs::write(&record, &lines[1]).expect("a file");
    fs::write(&old, print(&["checkpoint", &log])).expect("a file");
    let verify_proof = || {
        let anchor = ["--proof", &proof, "--checkpoint", &checkpoint];
        let inclusion = verify(&[&anchor[..], &["--record", &record]].concat());
        fs::write(&proof, print(&["prove", &log, "--from", &old])).expect("a file");
        [
            inclusion,
            verify(&[&anchor[..], &["--from", &old]].concat()),
        ]
        .concat()
    };
    let without_checkpoint = verify(&[&log]);
    let mut printed = [verify_log(), without_checkpoint, verify_proof()].concat();

    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for log_now in [
        changed,
        Vec::new(),
        whole[..whole.len() - 7].to_vec(),
        [&lines[5..], &lines[3..5]].concat().concat(),
    ] {
        fs::write(&log, log_now).expect("a file");
        printed.extend(verify_log());
    }
    fs::write(&log, &whole).expect("a file");
    fs::write(&proof, print(&["prove", &log, "--seq", "2"])).expect("a file");
    printed.extend(verify_proof());
    let secret = path("secret");
    let key = print(&["keygen", &secret, "--name", "example.com/a"]);
    let key = String::from_utf8(key).expect("UTF-8");
    let signed = print(&["checkpoint", &log, "--signing-key", &secret]);
    fs::write(&checkpoint, signed).expect("a file");
    printed.extend(verify(&[
        &log,
        "--checkpoint",
        &checkpoint,
        "--key",
        key.trim_end(),
    ]));
    let count = printed.iter().filter(|byte| **byte == b'\n').count();
    assert!(count > 20, "{count}");
    assert_eq!(count_valid("audit-verify", &printed), (count, count));
}

#[test]
fn checkpoint_and_proofs_agree_with_an_independent_computation() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = write_log(dir.path()).display().to_string();
    let print = |args: &[&str], to: &str| {
        let output = audit(args);
        assert!(output.status.success(), "{output:?}");
        let file = dir.path().join(to);
        fs::write(&file, output.stdout).expect("a file");
        file.display().to_string()
    };
    let checkpoint = print(&["checkpoint", &log], "checkpoint");
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/core/tests/audit/verify_log.py"
    );
    let whole = fs::read(&log).expect("a log");
    let lines = lines(&whole);
    let (part, record) = (dir.path().join("part"), dir.path().join("record"));
    for seq in [0, 7, 40] {
        fs::write(&part, lines[..=seq].concat()).expect("a file");
        fs::write(&record, &lines[seq]).expect("a file");
        let (part, record) = (part.display().to_string(), record.display().to_string());
        let old = print(&["checkpoint", &part], "old");
        let (old, record) = (["--from", &old], ["--record", &record]);
        let seq = ["--seq", &seq.to_string()];
        for (kind, more) in [(seq, record), (old, old)] {
            let proof = print(&[&["prove", &log], &kind[..]].concat(), "proof");
            let files = [script, &log, &checkpoint, &proof];
            let printed = test_support::loopback::run("python3", &files);
            assert_eq!(String::from_utf8_lossy(&printed).trim(), "ok");
            let check = ["verify", "--proof", &proof, "--checkpoint", &checkpoint];
            print(&[&check[..], &more].concat(), "checked");
        }
    }
}
