//! `fetch --origin`, and `fetch --checkpoint`.

use std::fs;

use test_support::program::harness::{Cache, RunOutput};

use crate::{record, saved, try_record};

fn lines(log: &str) -> Vec<String> {
    let log = fs::read_to_string(log).expect("a log");
    log.split_inclusive('\n').map(str::to_owned).collect()
}

#[test]
fn origin_of_a_new_log_is_kept_and_another_one_is_refused() {
    let cache = Cache::new();
    let origin = ["--origin", "example.com/builds"];
    let log = record(&cache, "log", 0..1, &origin);
    record(&cache, "log", 1..2, &origin);
    record(&cache, "log", 2..3, &[]);
    let before = lines(&log);
    let refused = |origin: &str| try_record(&cache, "log", 3..4, &["--origin", origin]);
    refused("example.com/other")
        .assert_status(2)
        .assert_says("example.com/builds");
    refused("https://example.com")
        .assert_status(2)
        .assert_says("origin");
    assert_eq!(lines(&log), before);
    let checkpoint = saved(&cache, "checkpoint", &["checkpoint", &log]);
    let checkpoint = fs::read_to_string(checkpoint).expect("a checkpoint");
    assert!(
        checkpoint.starts_with("example.com/builds\n"),
        "{checkpoint}"
    );
    cache.run(["audit", "verify", &log]).assert_status(0);
    // A rotated log keeps the origin of the first; its own can't be given.
    cache.run(["audit", "rotate", &log]).assert_status(0);
    record(&cache, "log", 3..4, &origin);
    refused("example.com/other")
        .assert_status(2)
        .assert_says("example.com/builds/rotation-2");
    refused("example.com/builds/rotation-2")
        .assert_status(2)
        .assert_says("first log");
    // A random id is one as well.
    record(&cache, "random", 0..1, &[]);
    try_record(&cache, "random", 0..1, &origin).assert_status(2);
    let without_log = ["fetch", "--offline", "a@b", "--origin", "example.com/a"];
    cache
        .run(without_log)
        .assert_status(2)
        .assert_says("--audit-log");
}

#[test]
fn origin_of_a_new_log_has_room_for_every_rotation() {
    let cache = Cache::new();
    let longest = format!("example.com/{}", "a".repeat(225 - 12));
    let log = record(&cache, "log", 0..1, &["--origin", &longest]);
    cache.run(["audit", "rotate", &log]).assert_status(0);
    record(&cache, "log", 1..2, &["--origin", &longest]);
    try_record(&cache, "new", 0..1, &["--origin", &format!("{longest}a")])
        .assert_status(2)
        .assert_says("at most 225 bytes, not 226");
}

#[test]
fn random_id_as_origin_is_refused() {
    let cache = Cache::new();
    let random = format!("skopeo-index/{}", "0f".repeat(16));
    try_record(&cache, "log", 0..1, &["--origin", &random])
        .assert_status(2)
        .assert_says("random id");
    assert!(!cache.beside("log").exists());
}

#[test]
fn checkpoint_of_each_run_replaces_the_one_before() {
    let cache = Cache::new();
    let secret = cache.beside("secret").display().to_string();
    let key = cache.run(["audit", "keygen", &secret, "--name", "example.com/a"]);
    let checkpoint = cache.beside("checkpoint").display().to_string();
    let signed = ["--checkpoint", &checkpoint, "--signing-key", &secret];
    let key = key.stdout.trim_end().to_owned();
    let verify = |log: &str| -> RunOutput {
        let args = [
            "audit",
            "verify",
            log,
            "--checkpoint",
            &checkpoint,
            "--key",
            &key,
        ];
        cache.run(args)
    };
    let size = || -> usize {
        let text = fs::read_to_string(&checkpoint).expect("a checkpoint");
        text.lines()
            .nth(1)
            .expect("a size")
            .parse()
            .expect("a number")
    };
    for names in [0..2, 2..3] {
        let log = record(&cache, "log", names, &signed);
        verify(&log).assert_status(0);
        assert_eq!(size(), lines(&log).len());
    }
    // Without the last record, the log is not that of the checkpoint.
    let log = cache.beside("log").display().to_string();
    let whole = lines(&log);
    let before = fs::read(&checkpoint).expect("a checkpoint");
    fs::write(&log, whole[..whole.len() - 1].concat()).expect("a log");
    try_record(&cache, "log", 3..9, &signed)
        .assert_status(16)
        .assert_says("rewritten");
    assert_eq!(fs::read(&checkpoint).expect("a checkpoint"), before);
    let alone = ["fetch", "--offline", "a@b", "--signing-key", &secret];
    cache
        .run(alone)
        .assert_status(2)
        .assert_says("--checkpoint");
    let missing = ["--checkpoint", &checkpoint, "--signing-key", "/nowhere"];
    let lines_before = lines(&log);
    try_record(&cache, "log", 3..4, &missing)
        .assert_status(1)
        .assert_says("/nowhere");
    assert_eq!(lines(&log), lines_before);
}

#[test]
fn signing_key_variable_without_checkpoint_is_not_read() {
    let cache = Cache::new();
    let log = cache.beside("log");
    for more in [&["--audit-log", log.to_str().expect("UTF-8")][..], &[]] {
        let missing = format!("localhost/app@sha256:{}", "0".repeat(64));
        let mut fetch = cache.command(["fetch", "--offline", &missing]);
        fetch.args(more);
        fetch.env("SKOPEO_INDEX_SIGNING_KEY", "/nowhere");
        let output = RunOutput::from(fetch.output().expect("the binary"));
        output.assert_status(13);
    }
}

#[test]
fn checkpoint_file_that_cannot_be_replaced_is_refused_before_the_run() {
    let cache = Cache::new();
    let log = record(&cache, "log", 0..1, &[]);
    let before = lines(&log);
    let empty = cache.beside("empty").display().to_string();
    fs::write(&empty, "").expect("a file");
    let dir = cache.beside("").display().to_string();
    for to in [&empty, &log, &dir, "/dev/null", "/nowhere/checkpoint"] {
        let output = try_record(&cache, "log", 1..2, &["--checkpoint", to]);
        output.assert_status(2).assert_says(to);
        assert!(!output.stderr.contains(" at path "), "{output:?}");
        assert_eq!(lines(&log), before, "{to}");
    }
    assert_eq!(fs::read(&empty).expect("a file"), b"");
}

#[test]
fn signed_checkpoint_is_not_replaced_by_one_without_a_signature() {
    let cache = Cache::new();
    let secret = cache.beside("secret").display().to_string();
    let keygen = ["audit", "keygen", &secret, "--name", "example.com/a"];
    cache.run(keygen).assert_status(0);
    let tiles = cache.beside("tiles").display().to_string();
    let checkpoint = cache.beside("checkpoint").display().to_string();
    let key = ["--signing-key", secret.as_str()];
    let signed = [&["--checkpoint", &checkpoint], &key[..]].concat();
    let log = record(&cache, "log", 0..1, &signed);
    let write_tiles = |key: &[&str]| cache.run(["audit", "tiles", &log, &tiles].iter().chain(key));
    write_tiles(&key).assert_status(0);
    let saved = || [&checkpoint, &format!("{tiles}/checkpoint")].map(|file| fs::read(file).ok());
    let (before, records) = (saved(), lines(&log));
    let advice = "signed; give --signing-key";
    let output = try_record(&cache, "log", 1..2, &["--checkpoint", &checkpoint]);
    output.assert_status(2).assert_says(advice);
    assert_eq!(lines(&log), records);
    write_tiles(&[]).assert_status(2).assert_says(advice);
    assert_eq!(saved(), before);
}

#[test]
fn checkpoint_of_a_broken_log_is_neither_saved_nor_left_by_a_rotation() {
    let cache = Cache::new();
    let checkpoint = cache.beside("checkpoint").display().to_string();
    let log = record(&cache, "log", 0..2, &[]);
    let mut records = lines(&log);
    records[2] = records[2].replacen("\"seq\":2", "\"seq\":3", 1);
    fs::write(&log, records.concat()).expect("a log");
    let output = try_record(&cache, "log", 2..3, &["--checkpoint", &checkpoint]);
    output.assert_status(16).assert_says("record 2: ");
    assert!(!cache.beside("checkpoint").exists());
    let before = lines(&log);
    cache
        .run(["audit", "rotate", &log])
        .assert_status(16)
        .assert_says("record 2: ");
    assert_eq!(lines(&log), before);
}
