//! Signed checkpoints: `audit keygen`, `audit checkpoint --signing-key`, `audit verify
//! --key`, and `signing`, against a reader and writer in Python.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use skopeo_index::signing::{SigningKey, is_valid_signature};
use skopeo_index_core::audit::{KeyError, Note, SavedCheckpoint, VerifierKeys};
use test_support::program::harness::Cache;

use crate::{python, record, saved};

/// A key and a note of c2sp.org/signed-note.
pub(crate) const EXAMPLE_KEY: &str =
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE: &str = "This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
";

/// A log, a key, and a checkpoint that is signed with it.
struct Scene {
    cache: Cache,
    log: String,
    secret: String,
    /// The verifier key.
    key: String,
    checkpoint: String,
}

impl Scene {
    fn new() -> Self {
        let cache = Cache::new();
        let log = record(&cache, "log", 0..2, &[]);
        let secret = cache.beside("secret").display().to_string();
        let output = cache.run(["audit", "keygen", &secret, "--name", "example.com/builds"]);
        output.assert_status(0);
        let sign = ["checkpoint", &log, "--signing-key", &secret];
        let checkpoint = saved(&cache, "checkpoint", &sign);
        Self {
            log,
            secret,
            key: output.stdout.trim_end().to_owned(),
            checkpoint,
            cache,
        }
    }

    /// `audit verify` with the checkpoint.
    fn verify(&self, more: &[&str]) -> test_support::program::harness::RunOutput {
        let args = [
            "audit",
            "verify",
            &self.log,
            "--checkpoint",
            &self.checkpoint,
        ];
        self.cache.run(args.iter().chain(more))
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.checkpoint).expect("a checkpoint")
    }
}

#[test]
fn note_of_the_specification_verifies_with_its_key() {
    let keys = VerifierKeys::new([EXAMPLE_KEY.parse().expect("a key")]).expect("keys");
    let note = Note::parse(EXAMPLE.as_bytes()).expect("a note");
    assert_eq!(note.text(), "This is an example message.\n");
    assert!(note.verify(&keys, is_valid_signature).is_ok());
}

#[test]
fn every_single_change_of_a_signed_checkpoint_is_refused() {
    let scene = Scene::new();
    let keys = VerifierKeys::new([scene.key.parse().expect("a key")]).expect("keys");
    let is_accepted = |note: &[u8]| {
        let saved = SavedCheckpoint::parse(note);
        saved.is_ok_and(|saved| saved.verify(&keys, is_valid_signature).is_ok())
    };
    let note = scene.text().into_bytes();
    assert!(is_accepted(&note));
    for at in 0..note.len() {
        let refused = |changed: &[u8]| {
            assert!(
                !is_accepted(changed),
                "{:?}",
                String::from_utf8_lossy(changed)
            );
        };
        for bit in 0..8 {
            let mut changed = note.clone();
            changed[at] ^= 1 << bit;
            refused(&changed);
        }
        for byte in *b"\n a0" {
            let mut changed = note.clone();
            changed.insert(at, byte);
            refused(&changed);
        }
        refused(&note[..at]);
        refused(&[&note[..at], &note[at + 1..]].concat());
    }
}

#[test]
fn python_verifies_our_checkpoint_and_we_verify_that_of_python() {
    let scene = Scene::new();
    let text = python("note.py", &["verify", &scene.key, &scene.checkpoint]);
    let unsigned = saved(&scene.cache, "unsigned", &["checkpoint", &scene.log]);
    assert_eq!(text, fs::read_to_string(&unsigned).expect("a checkpoint"));

    let keys = python("note.py", &["keygen", "example.com/python"]);
    let (secret, key) = keys.trim_end().split_once('\n').expect("two keys");
    let file = scene.cache.beside("python-secret");
    fs::write(&file, format!("{secret}\n")).expect("a file");
    let file = file.display().to_string();
    fs::write(
        &scene.checkpoint,
        python("note.py", &["sign", &file, &unsigned]),
    )
    .expect("a file");
    scene.verify(&["--key", key]).assert_status(0);
    scene.verify(&["--key", &scene.key]).assert_status(16);
    // Ed25519 signatures are deterministic.
    let sign = ["checkpoint", &scene.log, "--signing-key", &file];
    let ours = saved(&scene.cache, "ours", &sign);
    assert_eq!(
        fs::read_to_string(ours).expect("a checkpoint"),
        scene.text()
    );
}

#[test]
fn keygen_creates_a_private_file_and_replaces_none() {
    let scene = Scene::new();
    let mode = fs::metadata(&scene.secret)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read_to_string(&scene.secret).expect("a key");
    let key = SigningKey::parse(before.trim_end()).expect("a key");
    assert_eq!(key.verifier_key().to_string(), scene.key);
    let again = [
        "audit",
        "keygen",
        &scene.secret,
        "--name",
        "example.com/builds",
    ];
    scene
        .cache
        .run(again)
        .assert_status(1)
        .assert_says("exists");
    assert_eq!(fs::read_to_string(&scene.secret).expect("a key"), before);
    // Without a name, the verifier key is printed again.
    let printed = scene.cache.run(["audit", "keygen", &scene.secret]);
    printed.assert_status(0);
    assert_eq!(printed.stdout.trim_end(), scene.key);
    let missing = scene.cache.run(["audit", "keygen", "/nowhere"]);
    missing.assert_status(2).assert_says("--name");
    let invalid = ["audit", "keygen", "/nowhere", "--name", "a b"];
    scene
        .cache
        .run(invalid)
        .assert_status(2)
        .assert_says("key name");
    // The id belongs to another seed.
    let other = before.replace("builds", "other");
    assert_eq!(
        SigningKey::parse(other.trim_end()).map(drop),
        Err(KeyError::Id)
    );
}

#[test]
fn checkpoint_is_refused_unless_a_given_key_has_signed_it() {
    let scene = Scene::new();
    let key = ["--key", scene.key.as_str()];
    let output = scene.verify(&key);
    output.assert_status(0);
    assert!(
        output.stdout.contains("signed by example.com/builds\n"),
        "{output:#?}"
    );
    let unknown = ["--key", EXAMPLE_KEY];
    let assert_refused = |args: &[&str], why: &str| {
        let output = scene.verify(args);
        output.assert_status(16);
        let refused = format!("the checkpoint is refused: {why}");
        assert!(output.stdout.contains(&refused), "{output:#?}");
        let output = scene.verify(&[args, &["--format=json"]].concat());
        let lines = output.stdout.lines();
        let lines: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let signature = json!({ "checked": true, "signers": [] });
        let [finding, result] = &lines[..] else {
            panic!("{output:#?}");
        };
        assert_eq!(finding["kind"], "refused-checkpoint");
        let found = (&result["intact"], &result["signature"]);
        assert_eq!(found, (&json!(false), &signature));
    };
    assert_refused(&unknown, "not signed by any");
    scene
        .verify(&[&key[..], &unknown].concat())
        .assert_status(0);
    let keys = scene.cache.beside("keys");
    fs::write(&keys, format!("# log\n\n{}\n", scene.key)).expect("a file");
    let keys_file = keys.display().to_string();
    scene.verify(&["--key", &keys_file]).assert_status(0);
    fs::write(&keys, "# no key\n").expect("a file");
    scene
        .verify(&["--key", &keys_file])
        .assert_status(2)
        .assert_says("no verifier key");
    fs::write(&keys, "x\n").expect("a file");
    scene
        .verify(&["--key", &keys_file])
        .assert_status(2)
        .assert_says("line 1");
    let mistyped = scene.key.replace("builds", "build");
    scene
        .verify(&["--key", &mistyped])
        .assert_status(2)
        .assert_says("id");
    let without = ["audit", "verify", &scene.log, "--key", &scene.key];
    scene
        .cache
        .run(without)
        .assert_status(2)
        .assert_says("--checkpoint");

    let note = scene.text();
    let (text, signature) = note.split_once("\n\n").expect("a note");
    fs::write(&scene.checkpoint, format!("{text}\n")).expect("a file");
    assert_refused(&key, "not signed");
    // A valid signature, of another text.
    fs::write(
        &scene.checkpoint,
        format!("{}\n\n{signature}", text.replacen("\n5\n", "\n4\n", 1)),
    )
    .expect("a file");
    assert_refused(&key, "the signature of example.com/builds is not valid");
    for malformed in [format!("{text}\n{signature}"), note.replace('\n', "\r\n")] {
        fs::write(&scene.checkpoint, malformed).expect("a file");
        scene
            .verify(&key)
            .assert_status(2)
            .assert_says("not a checkpoint");
        scene.verify(&[]).assert_status(2);
    }
}

#[test]
fn checkpoint_without_key_is_used_and_said_to_be_unchecked() {
    let scene = Scene::new();
    let output = scene.verify(&[]);
    output.assert_status(0);
    assert!(
        output.stdout.contains("signature not checked"),
        "{output:#?}"
    );
    let signature = |more: &[&str]| {
        let output = scene.verify(&[&["--format=json"], more].concat());
        let last = output.stdout.lines().last().expect("a line");
        let summary: Value = serde_json::from_str(last).expect("JSON");
        summary["signature"].clone()
    };
    assert_eq!(signature(&[]), serde_json::json!({ "checked": false }));
    assert_eq!(
        signature(&["--key", &scene.key]),
        serde_json::json!({ "checked": true, "signers": ["example.com/builds"] })
    );
}
