//! `audit prove`, and `audit verify --proof`.

use std::fs;

use serde_json::Value;
use test_support::loopback::{Registry, samples};
use test_support::program::harness::Cache;

#[test]
fn inclusion_proof_is_checked_without_the_log() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let reference = format!(
        "{}/app@{}",
        registry.address(),
        registry.put(samples::empty())
    );
    let log = cache.beside("log").display().to_string();
    cache
        .fetch(&[&reference, "--audit-log", &log])
        .assert_status(0);
    let kept = |name: &str, args: &[&str]| {
        let output = cache.run(["audit"].iter().chain(args));
        output.assert_status(0);
        let file = cache.beside(name);
        fs::write(&file, output.stdout).expect("a file");
        file.display().to_string()
    };
    let checkpoint = kept("checkpoint", &["checkpoint", &log]);
    let proof = kept("proof", &["prove", &log, "--seq", "2"]);
    let another = kept("another", &["prove", &log, "--seq", "3"]);
    cache
        .run(["audit", "prove", &log, "--seq", "1000"])
        .assert_status(13)
        .assert_says("no record 1000");
    fs::remove_file(&log).expect("the log");

    let check = ["audit", "verify", "--checkpoint", &checkpoint, "--proof"];
    let check_json = [&["audit", "verify", "--format=json"], &check[2..]].concat();
    let check = |proof: &str| cache.run(check.iter().chain(&[proof]));
    let output = check(&proof);
    output.assert_status(0);
    assert!(
        output.stdout.starts_with("record 2 is in the log "),
        "{output:#?}"
    );
    let json = |proof: &str| {
        let output = cache.run(check_json.iter().chain(&[proof]));
        let check: Value = serde_json::from_str(&output.stdout).expect("JSON");
        (
            output.status,
            check["intact"].clone(),
            check["record"].clone(),
        )
    };
    assert_eq!(json(&proof), (Some(0), true.into(), 2.into()));
    let read = |file: &str| -> Value {
        serde_json::from_slice(&fs::read(file).expect("a proof")).expect("JSON")
    };
    let mut forged = read(&proof);
    forged["record"] = read(&another)["record"].take();
    fs::write(&proof, forged.to_string()).expect("a file");
    check(&proof).assert_status(16);
    assert_eq!(json(&proof), (Some(16), false.into(), Value::Null));
}
