//! `audit prove`, and `audit verify --proof`.

use std::fs;

use serde_json::Value;
use skopeo_index_core::audit::leaf_hash;
use skopeo_index_core::digest::Digest;
use test_support::program::harness::{Cache, RunOutput};

use crate::notes::EXAMPLE_KEY;
use crate::{record, saved};

/// A log that is gone, its key, and what was kept of it.
struct Scene {
    cache: Cache,
    key: String,
    /// Signed, from before the log grew.
    old: String,
    /// Signed.
    checkpoint: String,
    /// Of record 2, with a signed checkpoint.
    inclusion: String,
    /// From `old`, with a signed checkpoint.
    consistency: String,
    /// The lines of records 2 and 3, in files.
    records: [String; 2],
    leaf_hash: String,
    /// The secret key's file.
    key_file: String,
}

impl Scene {
    fn new() -> Self {
        let cache = Cache::new();
        let secret = cache.beside("secret").display().to_string();
        let key = cache.run(["audit", "keygen", &secret, "--name", "example.com/a"]);
        let log = record(&cache, "log", 0..2, &[]);
        let signing = ["--signing-key", secret.as_str()];
        let kept = |name: &str, args: &[&str]| saved(&cache, name, &[args, &signing].concat());
        let old = kept("old", &["checkpoint", &log]);
        record(&cache, "log", 2..6, &[]);
        let checkpoint = kept("checkpoint", &["checkpoint", &log]);
        let inclusion = kept("inclusion", &["prove", &log, "--seq", "2"]);
        let consistency = kept("consistency", &["prove", &log, "--from", &old]);
        let missing = ["audit", "prove", &log, "--seq", "1000"];
        cache
            .run(missing)
            .assert_status(13)
            .assert_says("no record 1000");
        let lines = fs::read_to_string(&log).expect("the log");
        let lines: Vec<&str> = lines.split_inclusive('\n').collect();
        let records = [2, 3].map(|at| {
            let file = cache.beside(&format!("record-{at}"));
            fs::write(&file, lines[at]).expect("a file");
            file.display().to_string()
        });
        let leaf_hash = leaf_hash(lines[2].trim_end().as_bytes());
        let leaf_hash = Digest::from_bytes(leaf_hash).hex();
        fs::remove_file(&log).expect("the log");
        let key = key.stdout.trim_end().to_owned();
        Self {
            cache,
            key,
            old,
            checkpoint,
            inclusion,
            consistency,
            records,
            leaf_hash,
            key_file: secret,
        }
    }

    fn verify(&self, proof: &str, more: &[&str]) -> RunOutput {
        let args = ["audit", "verify", "--proof", proof];
        self.cache.run(args.iter().chain(more))
    }
}

#[test]
fn inclusion_proof_is_checked_without_the_log() {
    let scene = Scene::new();
    let [record, another] = &scene.records;
    let by =
        |anchor: &[&str], what: &[&str]| scene.verify(&scene.inclusion, &[anchor, what].concat());
    let key = ["--key", scene.key.as_str()];
    let checkpoint = ["--checkpoint", scene.checkpoint.as_str()];
    for anchor in [&key[..], &checkpoint, &[&key[..], &checkpoint].concat()] {
        let output = by(anchor, &["--record", record]);
        output.assert_status(0);
        let first = output.stdout.lines().next().expect("a line");
        assert!(first.starts_with("record 2 is in the log "), "{output:#?}");
        let is_checked = output.stdout.contains("signed by example.com/a");
        assert_eq!(
            is_checked,
            anchor.len() != 2 || anchor == key,
            "{output:#?}"
        );
        by(anchor, &["--leaf-hash", &scene.leaf_hash]).assert_status(0);
        by(anchor, &["--record", another]).assert_status(16);
        by(anchor, &["--leaf-hash", &"0".repeat(64)]).assert_status(16);
        by(anchor, &[]).assert_status(2).assert_says("--record");
    }
    by(&[], &["--record", record])
        .assert_status(2)
        .assert_says("--checkpoint or --key");
    let old = ["--checkpoint", scene.old.as_str()];
    by(&old, &["--record", record])
        .assert_status(16)
        .assert_says("another size");
    by(&checkpoint, &["--leaf-hash", "x"])
        .assert_status(2)
        .assert_says("expected 64 digits");
    // The file that is at fault is named.
    by(&checkpoint, &["--record", &scene.key_file])
        .assert_status(16)
        .assert_says(&format!("error: {}: invalid record", scene.key_file));
    let other_key = ["--key", EXAMPLE_KEY, "--format=json"];
    let refused = by(&other_key, &["--record", record]);
    refused.assert_status(16).assert_says(&scene.inclusion);
    let check: Value = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!(check["intact"], false);
    assert_eq!(check["signature"]["signers"], serde_json::json!([]));
}

#[test]
fn inclusion_proof_in_json_says_what_was_checked() {
    let scene = Scene::new();
    let json = |record: &str| {
        let more = ["--format=json", "--key", &scene.key, "--record", record];
        let output = scene.verify(&scene.inclusion, &more);
        let check: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(check["signature"]["checked"], true);
        (
            output.status,
            check["intact"].clone(),
            check["record"].clone(),
        )
    };
    assert_eq!(json(&scene.records[0]), (Some(0), true.into(), 2.into()));
    assert_eq!(
        json(&scene.records[1]),
        (Some(16), false.into(), Value::Null)
    );
}

#[test]
fn consistency_proof_is_checked_without_the_log() {
    let scene = Scene::new();
    let check = |more: &[&str]| scene.verify(&scene.consistency, more);
    let from = ["--from", scene.old.as_str()];
    let output = check(&from);
    output.assert_status(0);
    assert!(output.stdout.contains(" extends that of "), "{output:#?}");
    assert!(output.stdout.contains("not checked"), "{output:#?}");
    let key = ["--key", scene.key.as_str()];
    check(&[&from[..], &key].concat()).assert_status(0);
    let checkpoint = ["--checkpoint", scene.checkpoint.as_str()];
    check(&[&from[..], &checkpoint].concat()).assert_status(0);
    check(&key).assert_status(2).assert_says("--from");
    // The checkpoint of another size, and another root at that size.
    check(&["--from", &scene.checkpoint])
        .assert_status(16)
        .assert_says("another size");
    let old = fs::read_to_string(&scene.old).expect("a checkpoint");
    let lines: Vec<&str> = old.split('\n').collect();
    let forged = old.replace(lines[2], "YO+E9qMX9lQeovm9Lz3vbXR1FWIBXEFYlzaFWGTzExM=");
    fs::write(&scene.old, forged).expect("a file");
    check(&from).assert_status(16).assert_says("rewritten");
    check(&[&from[..], &key].concat())
        .assert_status(16)
        .assert_says("not valid");
}

#[test]
fn prove_from_a_checkpoint_that_the_log_does_not_extend_is_refused() {
    let cache = Cache::new();
    let log = record(&cache, "log", 0..2, &[]);
    let other = record(&cache, "other", 0..1, &[]);
    let before = saved(&cache, "before", &["checkpoint", &log]);
    let longer = fs::read(&log).expect("a log");
    let prove = |log: &str| cache.run(["audit", "prove", log, "--from", &before]);
    prove(&log).assert_status(0);
    prove(&other).assert_status(16).assert_says("another log");
    let lines: Vec<_> = longer.split_inclusive(|byte| *byte == b'\n').collect();
    fs::write(&log, lines[..lines.len() - 1].concat()).expect("a log");
    prove(&log).assert_status(17);
    cache.run(["audit", "prove", &log]).assert_status(2);
}

#[test]
fn inclusion_proof_for_a_saved_checkpoint_has_it_as_it_is_though_the_log_has_grown() {
    let cache = Cache::new();
    let secret = cache.beside("secret").display().to_string();
    let key = cache.run(["audit", "keygen", &secret, "--name", "example.com/a"]);
    let log = record(&cache, "log", 0..2, &[]);
    let saved_at = saved(
        &cache,
        "old",
        &["checkpoint", &log, "--signing-key", &secret],
    );
    let saved_text = fs::read_to_string(&saved_at).expect("a checkpoint");
    let size: usize = saved_text
        .lines()
        .nth(1)
        .expect("a size")
        .parse()
        .expect("a number");
    record(&cache, "log", 2..6, &[]);
    let line = fs::read_to_string(&log).expect("the log");
    let line = line.lines().nth(2).expect("a record").to_owned();
    fs::write(cache.beside("record"), line).expect("a file");
    let of = ["--seq", "2", "--checkpoint", &saved_at];
    let proof = saved(&cache, "proof", &[&["prove", &log], &of[..]].concat());
    assert!(
        fs::read_to_string(&proof)
            .expect("a proof")
            .ends_with(&saved_text)
    );
    let record_at = cache.beside("record").display().to_string();
    for anchor in [
        ["--checkpoint", &saved_at],
        ["--key", key.stdout.trim_end()],
    ] {
        let verify = ["audit", "verify", "--proof", &proof, "--record", &record_at];
        cache.run(verify.iter().chain(&anchor)).assert_status(0);
    }
    let prove = |more: &[&str]| {
        let args = ["audit", "prove", &log, "--checkpoint", &saved_at];
        cache.run(args.iter().chain(more))
    };
    prove(&["--seq", &size.to_string()]).assert_status(13);
    prove(&["--seq", "2", "--signing-key", &secret]).assert_status(2);
    prove(&["--from", &saved_at]).assert_status(2);
    let other = record(&cache, "other", 0..9, &[]);
    let args = [
        "audit",
        "prove",
        &other,
        "--seq",
        "2",
        "--checkpoint",
        &saved_at,
    ];
    cache.run(args).assert_status(16);
}
