//! What is written and printed is what the schemas in tests/schema say.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use skopeo_index_core::audit::{Entry, Record, RunInfo, SkopeoIdentity, leaf_hash, statement};

use super::{lines, logs, make_log, unsealed};

/// How many of so many lines are valid.
fn valid(schema: &str, text: &[u8]) -> (usize, usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lines");
    fs::write(&file, text).expect("a file");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = root.join("tests/schema").join(schema);
    let script = root.join("tests/schema/validate.py");
    let ran = Command::new("python3")
        .env("PYTHONPATH", root.join("target/python"))
        .args([script, schema, file])
        .output();
    let ran = ran.expect("python3 is not there; `make setup` installs it");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{errors}`make setup` installs jsonschema"
    );
    let said = String::from_utf8(ran.stdout).expect("UTF-8");
    println!("{errors}");
    let (valid, all) = said.trim().split_once(" of ").expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    (number(valid), number(all))
}

fn json_lines(values: &[Value]) -> Vec<u8> {
    let lines = values.iter().map(|value| format!("{value}\n"));
    lines.collect::<String>().into_bytes()
}

#[test]
fn every_record_is_as_its_schema_says_and_no_other_is() {
    let [log, _] = logs();
    let count = lines(log).len();
    assert_eq!(valid("record.json", log), (count, count));
    let mut others = unsealed(log);
    for other in &mut others {
        let op = other["op"].as_object_mut().expect("an object");
        let of = op.values_mut().next().expect("one");
        of["more"] = 1.into();
    }
    assert_eq!(valid("record.json", &json_lines(&others)), (0, count));
}

#[test]
fn every_statement_is_as_its_schema_says_and_no_other_is() {
    let mut run = RunInfo {
        cache: "/cache".to_owned(),
        from: None,
        plan: crate::stand_in::PLAN,
        skopeo: None,
        uid: 0,
        version: "0.0.1".to_owned(),
    };
    let mut statements = Vec::new();
    for line in lines(&logs()[0]) {
        let line = line.trim_ascii_end();
        let mut record = Record::parse(line).expect("a record");
        statements.extend(statement(&record, leaf_hash(line), &run));
        run.skopeo = Some(SkopeoIdentity {
            path: "/s".to_owned(),
            sha256: None,
            version: "skopeo version 1".to_owned(),
        });
        // From a storage whose place isn't a URI's text.
        if let Entry::Transition { request, .. } = &mut record.op {
            let location = "/a b/\u{e9}%?#\"<>".parse().expect("a location");
            let source = skopeo_index::request::Source::ContainersStorage {
                location: Some(location),
            };
            let name = request.name().clone();
            *request = skopeo_index::request::Request::new(name, source, request.digest());
            statements.extend(statement(&record, leaf_hash(line), &run));
        }
    }
    let count = statements.len();
    assert!(count > 10, "{count}");
    let text = json_lines(&statements);
    assert_eq!(valid("statement.json", &text), (count, count));
    for statement in &mut statements {
        let predicate = &mut statement["predicate"];
        let passed = predicate["verificationResult"] == "PASSED";
        let other = if passed { "FAILED" } else { "PASSED" };
        predicate["verificationResult"] = other.into();
    }
    let text = json_lines(&statements);
    assert_eq!(valid("statement.json", &text), (0, count));
}

#[test]
fn what_verify_prints_for_programs_is_as_its_schema_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = make_log(dir.path());
    let whole = fs::read(&log).expect("a log");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let print = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
        let ran = command.arg("audit").args(args).output();
        ran.expect("the binary").stdout
    };
    let (log, checkpoint, proof) = (path("log"), path("checkpoint"), path("proof"));
    fs::write(&checkpoint, print(&["checkpoint", &log])).expect("a file");
    fs::write(&proof, print(&["prove", &log, "--seq", "1"])).expect("a file");
    let verify = |more: &[&str]| print(&[&["verify", "--format=json"], more].concat());
    let here = [
        "--checkpoint",
        &checkpoint,
        "--cache",
        dir.path().to_str().expect("UTF-8"),
    ];
    let of_log = || verify(&[&[log.as_str()], &here[..]].concat());
    let by_proof = || verify(&["--proof", &proof, "--checkpoint", &checkpoint]);
    let mut printed = [of_log(), by_proof()].concat();

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
        printed.extend(of_log());
    }
    let given = fs::read_to_string(&proof).expect("a proof");
    fs::write(&proof, given.replace("\"seq\":1", "\"seq\":2")).expect("a file");
    printed.extend(by_proof());
    let count = printed.iter().filter(|byte| **byte == b'\n').count();
    assert!(count > 20, "{count}");
    assert_eq!(valid("finding.json", &printed), (count, count));
}
