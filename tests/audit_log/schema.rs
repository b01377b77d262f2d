//! A written log and the output of `audit` against the JSON schemas and against an
//! independent computation in Python.

use std::fs;
use std::process::Command;

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
        assert_eq!(count_valid("record.json", log), (count, count));
    }
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
    let verify_proof = || verify(&["--proof", &proof, "--checkpoint", &checkpoint]);
    let mut printed = [verify_log(), verify_proof()].concat();

    let lines = lines(&whole);
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
    let given = fs::read_to_string(&proof).expect("a proof");
    fs::write(&proof, given.replace("\"seq\":1", "\"seq\":2")).expect("a file");
    printed.extend(verify_proof());
    let count = printed.iter().filter(|byte| **byte == b'\n').count();
    assert!(count > 20, "{count}");
    assert_eq!(count_valid("finding.json", &printed), (count, count));
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
    for seq in ["0", "7", "40"] {
        let proof = print(&["prove", &log, "--seq", seq], "proof");
        let printed = test_support::loopback::run("python3", &[script, &log, &checkpoint, &proof]);
        assert_eq!(String::from_utf8_lossy(&printed).trim(), "ok");
        let check = ["verify", "--proof", &proof, "--checkpoint", &checkpoint];
        print(&check, "checked");
    }
}
