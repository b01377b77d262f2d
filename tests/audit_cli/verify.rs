//! `audit verify` of intact, changed and truncated logs.

use std::fs;

use skopeo_index_core::audit::MAX_RECORD_LEN;
use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput, wrap};

#[test]
fn changed_log_and_truncated_log_have_their_own_exit_status() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let log = cache.beside("log");
    let path = log.display().to_string();
    let reference = format!("{}/app@{digest}", registry.address());
    let output = cache.fetch(&[&reference, "--audit-log", &path]);
    output
        .assert_status(0)
        .assert_says(&format!("; audit log {path}: "));
    let checkpoint = cache.beside("checkpoint");
    fs::write(
        &checkpoint,
        cache.run(["audit", "checkpoint", &path]).stdout,
    )
    .expect("a file");
    let checkpoint = checkpoint.display().to_string();
    let whole = fs::read_to_string(&log).expect("a log");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();

    fs::write(&log, lines[..lines.len() - 1].concat()).expect("a log");
    cache.run(["audit", "verify", &path]).assert_status(0);
    cache
        .run(["audit", "verify", &path, "--checkpoint", &checkpoint])
        .assert_status(17);
    fs::write(&log, whole.replacen("\"absent\"", "\"not-a-file\"", 1)).expect("a log");
    let output = cache.run(["audit", "verify", &path, "--format=json"]);
    output.assert_status(16);
    assert!(output.stdout.starts_with("{\"finding\":"), "{output:?}");
    assert!(
        output.stdout.contains("\"kind\":\"invalid-record\""),
        "{output:?}"
    );
    cache.run(["audit", "checkpoint", &path]).assert_status(16);
    cache
        .run(["audit", "export", &path, "--in-toto", "--all"])
        .assert_status(16);
}

#[test]
fn verify_long_log_names_the_changed_record() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let names = (0..6000).map(|n| format!("{}/app{n}@{digest}", registry.address()));
    let log = cache.beside("log");
    let mut command = cache.command(["fetch", "--tls-verify=false", "--quiet", "--audit-log"]);
    command.arg(&log).args(names);
    RunOutput::from(command.output().expect("the binary")).assert_status(0);
    let path = log.display().to_string();
    let verify = || cache.run(["audit", "verify", &path]);
    let intact = verify();
    intact.assert_status(0);

    let mut bytes = fs::read(&log).expect("the log");
    assert!(bytes.len() > 4 << 20, "{}", bytes.len());
    let late = bytes.len() - 10_000;
    bytes[late] ^= 1;
    let record = bytes[..late].iter().filter(|byte| **byte == b'\n').count();
    fs::write(&log, bytes).expect("the log");
    let output = verify();
    output.assert_status(16);
    let first = output.stdout.lines().next().unwrap_or_default();
    assert!(
        first.contains(&format!("record {record}")),
        "{record}: {first}"
    );
}

#[test]
fn log_unreadable_and_log_missing_have_different_exit_status() {
    let cache = Cache::new();
    let dir = cache.beside("");
    let dir = dir.to_str().expect("UTF-8");
    for command in ["verify", "show", "checkpoint"] {
        cache
            .run(["audit", command, dir])
            .assert_status(1)
            .assert_says("directory");
        cache
            .run(["audit", command, "/nowhere/log"])
            .assert_status(13);
    }
}

#[test]
fn log_empty_is_truncated() {
    let cache = Cache::new();
    let log = cache.beside("log");
    fs::write(&log, "").expect("a file");
    for command in ["verify", "show", "checkpoint"] {
        cache
            .run(["audit", command, log.to_str().expect("UTF-8")])
            .assert_status(17);
    }
}

#[test]
fn verify_oversized_line_is_named_within_bounded_memory() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let reference = format!(
        "{}/app@{}",
        registry.address(),
        registry.put(samples::empty())
    );
    let log = cache.beside("log");
    let path = log.display().to_string();
    cache
        .fetch(&[&reference, "--audit-log", &path])
        .assert_status(0);
    let intact = fs::read(&log).expect("a log");
    let count = intact.iter().filter(|byte| **byte == b'\n').count();
    let verify = |bytes: &[u8]| {
        fs::write(&log, bytes).expect("a log");
        // The limit holds for the whole address space, with threads and binary.
        let inner = cache.command(["audit", "verify", &path]);
        let limited = wrap(&["prlimit", "--as=400000000"], &inner).output();
        RunOutput::from(limited.expect("prlimit; `make setup` installs it"))
    };
    // Empty lines, and an oversized one in the middle of the log.
    let blank = verify(&vec![b'\n'; 500_000]);
    assert_eq!(blank.status, Some(16));
    assert!(blank.stdout.contains("record 499999: "));
    let long = vec![b'x'; 300_000_000];
    let output = verify(&[&intact, &long[..], b"\n", &intact].concat());
    assert_eq!(output.status, Some(16));
    let at = format!("record {count}: a record has at most");
    assert!(output.stdout.starts_with(&at), "{}", output.stdout);
    assert!(output.stdout.contains(&format!("record {}: ", count + 1)));
    let output = verify(&[&intact, &long[..MAX_RECORD_LEN]].concat());
    assert_eq!(output.status, Some(17), "{}", output.stdout);
}

#[test]
fn file_that_is_not_a_log_is_not_taken_for_the_start_of_one() {
    let cache = Cache::new();
    let file = cache.beside("file");
    for text in ["127.0.0.1 localhost\n::1 localhost\n", "no newline", "{}\n"] {
        fs::write(&file, text).expect("a file");
        let path = file.display().to_string();
        let verified = cache.run(["audit", "verify", &path]);
        verified.assert_status(16);
        let expected = "the file is not a log\n";
        assert!(verified.stdout.starts_with(expected), "{verified:?}");
        crate::try_record(&cache, "file", 0..1, &[])
            .assert_status(1)
            .assert_says("the file is not a log");
    }
    // What a crash leaves of the first record.
    for text in ["", "{\"ent", "{\"entry\":{\"genesis\"\n", "\0\0\0"] {
        fs::write(&file, text).expect("a file");
        cache
            .run(["audit", "verify", &file.display().to_string()])
            .assert_status(17);
    }
}
