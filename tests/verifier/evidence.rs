//! What the audit log, `audit show` and statements say of verifiers.

use std::fs;

use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;
use test_support::loopback::samples;

use crate::Scene;

#[test]
fn record_has_program_arguments_exit_and_hash_of_the_output() {
    let scene = Scene::new();
    let approve = scene.script("approve", "printf out; printf err >&2");
    let refuse = scene.script("refuse", "echo no; exit 7");
    let output = scene.fetch(&[&format!("{approve} {{digest}}"), &refuse], &[]);
    output.assert_status(18);
    let verifications = scene.verifications();
    let [(approved, exited), (refused, refusal)] = &verifications[..] else {
        panic!("{verifications:?}");
    };
    assert_eq!(approved["path"], approve);
    let program = fs::read(&approve).expect("a file");
    assert_eq!(approved["sha256"], Digest::of(&program).to_string());
    assert_eq!(approved["command"]["argv"], json!([scene.digest]));
    assert_eq!(approved["command"]["exit"], 0);
    assert_eq!(approved["output"], Digest::of(b"outerr").to_string());
    assert_eq!(exited["verifier-exited"]["status"], 0);
    assert_eq!(exited["verifier-exited"]["message"], "");
    assert_eq!(refused["command"]["exit"], 7);
    assert_eq!(refused["output"], Digest::of(b"no\n").to_string());
    assert_eq!(refusal["verifier-exited"]["message"], "refuse: no");
}

#[test]
fn program_that_is_replaced_during_a_run_has_its_new_hash() {
    let scene = Scene::new();
    let second = scene.registry.put(samples::docker_list(3));
    let second = format!("{}/app@{second}", scene.registry.address());
    let script = scene.script("check", "exit 0");
    let before = fs::read(&script).expect("a file");
    let other = scene.script("other", "exit 0 # another");
    let replace = scene.script("replace", &format!("cp {other} {script}"));
    let output = scene.fetch(&[&script, &replace], &["--jobs=1", &second]);
    output.assert_status(0);
    let hashes: Vec<Value> = scene
        .verifications()
        .into_iter()
        .filter(|(record, _)| record["path"] == script)
        .map(|(mut record, _)| record["sha256"].take())
        .collect();
    let after = fs::read(&other).expect("a file");
    let expected = [before, after].map(|program| Digest::of(&program).to_string());
    assert_eq!(hashes, expected);
}

#[test]
fn show_names_the_verifiers_of_a_fetch() {
    let scene = Scene::new();
    scene.fetch(&["true {digest}"], &[]).assert_status(0);
    let log = scene.log_path().display().to_string();
    let output = scene.cache.run(["audit", "show", &log, "--format=json"]);
    let shown: Value =
        serde_json::from_str(output.stdout.lines().next().expect("a fetch")).expect("JSON");
    assert_eq!(
        shown["verifiers"][0]["command"]["argv"],
        json!([scene.digest])
    );
}

#[test]
fn statement_has_the_verifiers_as_evidence_and_a_refusal_is_a_failed_verdict() {
    let scene = Scene::new();
    scene.fetch(&["true"], &[]).assert_status(0);
    scene.fetch(&["true", "false"], &[]).assert_status(18);
    let missing = scene.script("hang", "kill -9 $$");
    scene.fetch(&[&missing], &[]).assert_status(18);
    let log = scene.log_path().display().to_string();
    let args = [
        "audit",
        "export",
        &log,
        "--in-toto",
        "--all",
        "--verifier-id=https://example.com",
    ];
    let output = scene.cache.run(args);
    output.assert_status(0).assert_says("skipped 1 fetch");
    let statements = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let statements: Vec<Value> = statements.collect();
    let results = statements
        .iter()
        .map(|it| &it["predicate"]["verificationResult"]);
    assert_eq!(results.collect::<Vec<_>>(), ["PASSED", "FAILED"]);
    let levels = &statements[0]["predicate"]["verifiedLevels"];
    assert_eq!(levels[1], "SKOPEO_INDEX_AUTHENTICATED");
    let evidence = &statements[1]["predicate"]["pkg:cargo/skopeo-index#record"]["verifiers"];
    assert_eq!(evidence[1]["command"]["exit"], 1);
    assert!(evidence[1]["sha256"].is_string());
}

#[test]
fn record_is_synced_before_the_index_is_published() {
    // A full log vetoes the record of Authenticated: nothing is published.
    let scene = Scene::new();
    let output = scene.fetch(&["true"], &["--audit-log", "/dev/full"]);
    assert_ne!(output.status, Some(0));
    scene.cache.assert_empty();
}

/// A refusal that could not be recorded would be no refusal for an auditor.
#[test]
fn arguments_that_a_record_has_no_room_for_are_refused_before_the_run() {
    let scene = Scene::new();
    let refuse = scene.script("refuse", "exit 7");
    let many = "{file} ".repeat(400);
    scene
        .fetch(&[&refuse, &format!("{refuse} {many}")], &[])
        .assert_status(2)
        .assert_says(&refuse)
        .assert_says("at most 16384 ");
    assert_eq!(scene.registry.connections(), 0);
    assert_eq!(fs::read(scene.log_path()).expect("a log"), b"");
    // Without a log, nothing limits the arguments.
    let command = format!("{refuse} {many}");
    let args = [
        &*scene.reference,
        "--engine=registry",
        "--verifier",
        &command,
    ];
    scene.cache.fetch(&args).assert_status(18);

    // As many as there is room for are recorded.
    let file = scene.cache.path().join(".skopeo-index/staging-000000");
    let file = file.join(format!("{}.verifier/index.json", u64::MAX));
    let count = 16384 / (file.display().to_string().len() + 3);
    let many = "{file} ".repeat(count);
    scene
        .fetch(&[&format!("{refuse} {many}")], &[])
        .assert_status(18);
    assert_eq!(scene.verifications().len(), 1);
}
