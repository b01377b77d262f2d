//! The audit log of the binary.

mod export;
mod faults;
#[path = "../../osbuild/host.rs"]
#[allow(dead_code, reason = "the tests of the protocol use all of it")]
#[allow(clippy::panic, reason = "a test that can't go on says why and fails")]
mod host;
mod objects;
mod secrets;
mod show;

use std::fs;
use std::process::Stdio;

use test_support::loopback::{Registry, samples};
use serde_json::Value;

use crate::harness::Cache;
use crate::harness::ended;
use crate::harness::through;

#[test]
fn two_processes_write_one_log_at_once() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let log = cache.beside("log");
    let start = |from: usize| {
        let mut command = cache.command(["fetch", "--tls-verify=false", "--audit-log"]);
        command.arg(&log);
        command.args((from..from + 30).map(|n| {
            format!(
                "{}/app@{}",
                registry.address(),
                registry.put(samples::distinct(n))
            )
        }));
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary")
    };
    for process in [start(0), start(20)] {
        ended(process.wait_with_output().expect("its end")).assert_status(0);
    }
    let (log, dir) = (
        log.display().to_string(),
        cache.path().display().to_string(),
    );
    let ran = cache.run(["audit", "verify", &log, "--cache", &dir]);
    ran.assert_status(0);
    assert!(ran.stdout.ends_with(" 0 findings: sound\n"), "{ran:?}");
    assert_eq!(
        cache.run(["audit", "show", &log]).stdout.lines().count(),
        61
    );
}

#[test]
fn a_changed_log_and_a_cut_one_have_their_own_status() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let log = cache.beside("log");
    let path = log.display().to_string();
    let reference = format!("{}/app@{digest}", registry.address());
    let ran = cache.fetch(&[&reference, "--audit-log", &path]);
    ran.assert_status(0).assert_says("audit log: skopeo-index/");
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
    fs::write(&log, whole.replacen("\"absent\"", "\"paused\"", 1)).expect("a log");
    let ran = cache.run(["audit", "verify", &path, "--format=json"]);
    ran.assert_status(16);
    assert!(ran.stdout.starts_with("{\"finding\":"), "{ran:?}");
    assert!(ran.stdout.contains("\"kind\":\"record\""), "{ran:?}");
    cache.run(["audit", "checkpoint", &path]).assert_status(16);
    cache
        .run(["audit", "export", &path, "--in-toto", "--all"])
        .assert_status(16);
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_run_before_anything_is_fetched() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference, "--audit-log", "/nowhere/log"])
        .assert_status(1)
        .assert_says("/nowhere/log");
    assert_eq!(registry.requests(&digest), 0);
    cache.assert_nothing_kept();
}

#[test]
fn one_record_is_proved_without_the_log() {
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
        let ran = cache.run(["audit"].iter().chain(args));
        ran.assert_status(0);
        let file = cache.beside(name);
        fs::write(&file, ran.stdout).expect("a file");
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
    let told = check(&proof);
    told.assert_status(0);
    assert!(told.stdout.starts_with("record 2 of "), "{told:#?}");
    let json = |proof: &str| {
        let ran = cache.run(check_json.iter().chain(&[proof]));
        let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        (ran.status, said["sound"].clone(), said["record"].clone())
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

#[test]
fn a_long_log_is_read_in_its_order_and_what_is_wrong_late_is_named() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let names = (0..6000).map(|n| format!("{}/app{n}@{digest}", registry.address()));
    let log = cache.beside("log");
    let mut command = cache.command(["fetch", "--tls-verify=false", "--quiet", "--audit-log"]);
    command.arg(&log).args(names);
    ended(command.output().expect("the binary")).assert_status(0);
    let path = log.display().to_string();
    let verify = || cache.run(["audit", "verify", &path]);
    let sound = verify();
    sound.assert_status(0);

    let mut bytes = fs::read(&log).expect("the log");
    assert!(bytes.len() > 4 << 20, "{}", bytes.len());
    let late = bytes.len() - 10_000;
    bytes[late] ^= 1;
    let record = bytes[..late].iter().filter(|byte| **byte == b'\n').count();
    fs::write(&log, bytes).expect("the log");
    let told = verify();
    told.assert_status(16);
    let first = told.stdout.lines().next().unwrap_or_default();
    assert!(
        first.contains(&format!("record {record}")),
        "{record}: {first}"
    );
}

#[test]
fn a_log_that_cannot_be_read_is_not_one_that_is_not_there() {
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
fn an_empty_log_is_cut_short() {
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
fn lines_that_are_none_take_no_memory_and_say_which_they_are() {
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
    let sound = fs::read(&log).expect("a log");
    let count = sound.iter().filter(|byte| **byte == b'\n').count();
    let verify = |bytes: &[u8]| {
        fs::write(&log, bytes).expect("a log");
        // The address space is bounded: threads, binary and all.
        let inner = cache.command(["audit", "verify", &path]);
        let limited = through(&["prlimit", "--as=400000000"], &inner).output();
        ended(limited.expect("prlimit is not there"))
    };
    // Lines without a byte, and one with very many, in the midst of the log.
    let blank = verify(&vec![b'\n'; 500_000]);
    assert_eq!(blank.status, Some(16));
    assert!(blank.stdout.contains("record 499999: "));
    let long = vec![b'x'; 300_000_000];
    let told = verify(&[&sound, &long[..], b"\n", &sound].concat());
    assert_eq!(told.status, Some(16));
    let at = format!("record {count}: it is longer than any record");
    assert!(told.stdout.starts_with(&at), "{}", told.stdout);
    assert!(told.stdout.contains(&format!("record {}: ", count + 1)));
    let told = verify(&[&sound, &long[..1 << 20]].concat());
    assert_eq!(told.status, Some(17), "{}", told.stdout);
}
