//! The output of `audit` against its JSON schema and the independent reader in Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use test_support::audit_log::lines;
use test_support::audit_log::sample::logs;

fn audit(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
    command
        .arg("audit")
        .args(args)
        .output()
        .expect("the binary")
}

/// A directory with a log in it.
fn with_log() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    fs::write(&log, &logs()[0]).expect("a file");
    (dir, log)
}

/// The number of valid lines, and of all lines.
fn valid(schema: &str, text: &[u8]) -> (usize, usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lines");
    fs::write(&file, text).expect("a file");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3")
        .env("PYTHONPATH", root.join("target/python"))
        .arg(root.join("tests/schema/validate.py"))
        .arg(root.join("tests/schema").join(schema))
        .arg(file)
        .output();
    let output = output.expect("no python3: run `make setup`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{errors}no jsonschema: run `make setup`"
    );
    let counts = String::from_utf8(output.stdout).expect("UTF-8");
    println!("{errors}");
    let (valid, all) = counts.trim().split_once(" of ").expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    (number(valid), number(all))
}

#[test]
fn audit_verify_json_output_matches_its_schema() {
    let (dir, log) = with_log();
    let whole = fs::read(&log).expect("a log");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let print = |args: &[&str]| audit(args).stdout;
    let (log, checkpoint, proof) = (path("log"), path("checkpoint"), path("proof"));
    fs::write(&checkpoint, print(&["checkpoint", &log])).expect("a file");
    fs::write(&proof, print(&["prove", &log, "--seq", "1"])).expect("a file");
    let verify = |more: &[&str]| print(&[&["verify", "--format=json"], more].concat());
    let options = [
        "--checkpoint",
        &checkpoint,
        "--cache",
        dir.path().to_str().expect("UTF-8"),
    ];
    let verify_log = || verify(&[&[log.as_str()], &options[..]].concat());
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
    let text = fs::read_to_string(&proof).expect("a proof");
    fs::write(&proof, text.replace("\"seq\":1", "\"seq\":2")).expect("a file");
    printed.extend(verify_proof());
    let count = printed.iter().filter(|byte| **byte == b'\n').count();
    assert!(count > 20, "{count}");
    assert_eq!(valid("finding.json", &printed), (count, count));
}

#[test]
fn python_reader_verifies_printed_checkpoint_and_proofs() {
    let (dir, log) = with_log();
    let print = |args: &[&str], to: &str| {
        let output = audit(args);
        assert!(output.status.success(), "{output:?}");
        let file = dir.path().join(to);
        fs::write(&file, output.stdout).expect("a file");
        file.display().to_string()
    };
    let log = log.display().to_string();
    let checkpoint = print(&["checkpoint", &log], "checkpoint");
    for seq in ["0", "7", "40"] {
        let proof = print(&["prove", &log, "--seq", seq], "proof");
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/core/tests/audit/verify_log.py"
        );
        let output = test_support::loopback::run("python3", &[script, &log, &checkpoint, &proof]);
        assert_eq!(String::from_utf8_lossy(&output).trim(), "ok");
        print(
            &["verify", "--proof", &proof, "--checkpoint", &checkpoint],
            "verified",
        );
    }
}
