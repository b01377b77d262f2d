//! `audit_log::rotate`: a log that ends, and the one that continues it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::Value;
use skopeo_index::audit_log::{LogError, LogWriter, ReadError, Recorder, verify_logs};
use skopeo_index_core::audit::{
    Checkpoint, FileName, FindingKind, KeepObjects, Labels, LogId, Severity,
};
use skopeo_index_core::digest::hex;
use skopeo_index_core::verifier::Verifiers;
use test_support::audit_log::{lines, rechain, unseal, verify};
use test_support::loopback::run;
use test_support::program::binary;
use test_support::program::fakes::{POLICY, never_cancelled};
use test_support::schema::count_valid;

use crate::writer::log_path;
use crate::{record_empty_run, source_info};

fn name(name: &str) -> FileName {
    name.to_owned().try_into().expect("a file name")
}

/// Records an empty run by a writer of its own.
fn run_once(path: &Path) {
    let cancel = never_cancelled();
    record_empty_run(&LogWriter::open(path, &cancel).expect("a log")).expect("records");
}

fn rotate(path: &Path, to: &str) -> Result<Checkpoint, LogError> {
    let cancel = never_cancelled();
    let rotated = LogWriter::open(path, &cancel)?.rotate(Some(name(to)))?;
    assert_eq!(rotated.1, name(to));
    Ok(rotated.0)
}

/// The codes of all findings of a chain.
fn codes(logs: &[PathBuf], checkpoint: Option<Checkpoint>) -> Vec<&'static str> {
    let mut codes = Vec::new();
    let summary = verify_logs(logs, checkpoint, KeepObjects::No, |_, _, findings| {
        codes.extend(findings.iter().map(|finding| finding.kind.code()));
        Ok::<_, ReadError>(())
    });
    summary.expect("logs that can be read");
    codes
}

/// Three logs of one chain, with runs in each, and the checkpoint of each but the last.
fn chain() -> (tempfile::TempDir, [PathBuf; 3], [Checkpoint; 2]) {
    let (dir, path) = log_path();
    let checkpoints = ["log.1", "log.2"].map(|kept| {
        run_once(&path);
        run_once(&path);
        rotate(&path, kept).expect("a rotation")
    });
    run_once(&path);
    let [first, second] = ["log.1", "log.2"].map(|name| dir.path().join(name));
    (dir, [first, second, path], checkpoints)
}

#[test]
fn chain_of_rotated_logs_verifies_and_a_part_of_it_has_a_note() {
    let (_dir, logs, checkpoints) = chain();
    assert_eq!(codes(&logs, None), [""; 0]);
    assert_eq!(codes(&logs[..1], None), [""; 0]);
    for part in [&logs[1..], &logs[1..2], &logs[2..]] {
        assert_eq!(codes(part, None), ["unchecked-previous"]);
    }
    for (log, checkpoint) in logs.iter().zip(checkpoints) {
        let read = verify(&fs::read(log).expect("a log"), None).0;
        assert_eq!(read.as_ref(), Some(&checkpoint));
        assert_eq!(codes(&logs, Some(checkpoint)), [""; 0]);
    }
}

#[test]
fn rotated_logs_match_the_schema_and_an_independent_computation() {
    let (dir, logs, checkpoints) = chain();
    for log in &logs {
        let bytes = fs::read(log).expect("a log");
        let count = lines(&bytes).len();
        assert_eq!(count_valid("record", &bytes), (count, count));
    }
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/core/tests/audit/verify_log.py"
    );
    let proof = dir.path().join("proof");
    for (log, checkpoint) in logs.iter().zip(checkpoints) {
        let log = log.to_str().expect("UTF-8");
        let prove = ["audit", "prove", log, "--seq", "0"];
        fs::write(&proof, run(binary().to_str().expect("UTF-8"), &prove)).expect("a file");
        let file = dir.path().join("checkpoint");
        fs::write(&file, checkpoint.to_string()).expect("a file");
        let [file, proof] = [&file, &proof].map(|file| file.to_str().expect("UTF-8"));
        let printed = run("python3", &[script, log, file, proof]);
        assert_eq!(String::from_utf8_lossy(&printed).trim(), "ok");
    }
}

#[test]
fn chain_with_missing_or_moved_log_is_found() {
    let (_dir, [first, second, third], _) = chain();
    for logs in [
        [&first, &third],
        [&second, &first],
        [&third, &first],
        [&first, &first],
    ] {
        let codes = codes(&logs.map(Clone::clone), None);
        assert!(
            codes.contains(&"succession") || codes.contains(&"foreign-record"),
            "{codes:?}"
        );
    }
}

/// A change to the records of a rotated log, or of the one that continues it.
type Change = fn(&mut Vec<Value>);

#[test]
fn forged_succession_is_found() {
    let (_dir, [first, second, _], _) = chain();
    let next: [Change; 5] = [
        |records| {
            drop(
                records[0]["entry"]["genesis"]
                    .as_object_mut()
                    .expect("one")
                    .remove("previous"),
            )
        },
        |records| records[0]["entry"]["genesis"]["previous"]["size"] = 5.into(),
        |records| records[0]["entry"]["genesis"]["previous"]["root"] = "0".repeat(64).into(),
        |records| {
            let other = test_support::audit_log::another_log();
            records[0]["entry"]["genesis"]["previous"]["log"] = other.into();
        },
        |records| {
            let other = test_support::audit_log::another_log();
            records
                .iter_mut()
                .for_each(|record| record["log"] = other.clone().into());
        },
    ];
    let old: [Change; 3] = [
        |records| drop(records.pop()),
        |records| records.swap(1, 3),
        |records| {
            let other = test_support::audit_log::another_log();
            records.last_mut().expect("one")["entry"]["rotated"]["next"] = other.into();
        },
    ];
    for (n, (log, change)) in next
        .map(|change| (&second, change))
        .into_iter()
        .chain(old.map(|change| (&first, change)))
        .enumerate()
    {
        let whole = fs::read(log).expect("a log");
        let mut records = unseal(&whole);
        change(&mut records);
        fs::write(log, rechain(&records)).expect("a log");
        let codes = codes(&[first.clone(), second.clone()], None);
        assert!(codes.contains(&"succession"), "{n}: {codes:?}");
        fs::write(log, whole).expect("a log");
    }
}

/// The first two logs get these ids, and all else that a rotation makes of them.
fn codes_of_chain(first: &str, second: &str) -> Vec<&'static str> {
    let (_dir, logs, _) = chain();
    let set_log = |records: &mut [Value], id: &str| {
        records
            .iter_mut()
            .for_each(|record| record["log"] = id.into());
    };
    let mut records = unseal(&fs::read(&logs[0]).expect("a log"));
    set_log(&mut records, first);
    records.last_mut().expect("one")["entry"]["rotated"]["next"] = second.into();
    let sealed = rechain(&records);
    fs::write(&logs[0], &sealed).expect("a log");
    let checkpoint = verify(&sealed, None).0.expect("a checkpoint");

    let mut records = unseal(&fs::read(&logs[1]).expect("a log"));
    set_log(&mut records, second);
    let previous = &mut records[0]["entry"]["genesis"]["previous"];
    previous["log"] = first.into();
    previous["root"] = hex(&checkpoint.root).into();
    // It ends without a rotation.
    records.pop();
    fs::write(&logs[1], rechain(&records)).expect("a log");
    codes(&logs[..2], None)
}

#[test]
fn chain_with_an_origin_that_no_rotation_makes_is_found() {
    let [random, other] = [1, 2].map(|seed| LogId::from_random([seed; 16]));
    let (random, other) = (random.as_str(), other.as_str());
    for (first, second) in [
        ("example.com/a", "example.com/a/rotation-2"),
        (random, other),
    ] {
        assert_eq!(codes_of_chain(first, second), [""; 0], "{first} {second}");
    }
    for (first, second) in [
        ("example.com/a", "example.com/a"),
        ("example.com/a", "example.com/b"),
        ("example.com/a", "example.com/a/rotation-3"),
        ("example.com/a", random),
        (random, "example.com/a"),
        (random, random),
    ] {
        let codes = codes_of_chain(first, second);
        assert_eq!(codes[..2], ["run", "succession"], "{first} {second}");
    }
    // The first log of a chain was not made by a rotation.
    let codes = codes_of_chain("example.com/a/rotation-2", "example.com/a/rotation-3");
    assert_eq!(codes, ["succession"]);
}

#[test]
fn line_after_rotation_is_found() {
    let (_dir, [first, ..], _) = chain();
    let mut records = unseal(&fs::read(&first).expect("a log"));
    let run = records[1].clone();
    records.push(run);
    let found = verify(&rechain(&records), None).1;
    assert!(
        found
            .iter()
            .any(|finding| finding.kind == FindingKind::AfterRotation)
    );
}

#[test]
fn writer_with_an_open_run_continues_in_the_next_log() {
    let ((dir, path), cancel) = (log_path(), never_cancelled());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    let labels = Labels::default();
    let begin = || {
        Recorder::begin(
            &log,
            Path::new("/cache"),
            POLICY,
            source_info(),
            &labels,
            None,
            Verifiers::default(),
        )
    };
    let recorder = begin().expect("a record");
    rotate(&path, "log.1").expect("a rotation");
    let old = fs::read(dir.path().join("log.1")).expect("a log");
    recorder.end().expect("a record");
    // Two rotations while it waits.
    let recorder = begin().expect("a record");
    rotate(&path, "log.2").expect("a rotation");
    rotate(&path, "log.3").expect("a rotation");
    recorder.end().expect("a record");

    let logs = ["log.1", "log.2", "log.3", "log"].map(|name| dir.path().join(name));
    assert_eq!(fs::read(&logs[0]).expect("a log"), old);
    assert_eq!(codes(&logs, None), [""; 0]);
    assert_eq!(codes(&logs[3..], None), ["unchecked-previous"]);
    let read = verify(&fs::read(&path).expect("a log"), None).0;
    assert_eq!(log.checkpoint().ok(), read);
}

#[test]
fn rotation_interrupted_after_its_record_is_completed_by_the_next_writer_or_rotation() {
    let (dir, path) = log_path();
    run_once(&path);
    rotate(&path, "log.1").expect("a rotation");
    let kept = dir.path().join("log.1");
    let ended = fs::read(&kept).expect("a log");
    let stale = dir.path().join("log.next");
    // With or without the other name, a part of the next log, the last newline.
    for step in 0..4 {
        for by_writer in [true, false] {
            fs::remove_file(&kept).expect("a log");
            fs::remove_file(&path).expect("a log");
            let ended_now = &ended[..ended.len() - usize::from(step == 3)];
            fs::write(&path, ended_now).expect("a log");
            if step > 0 {
                fs::hard_link(&path, &kept).expect("a link");
            }
            if step > 1 {
                fs::write(&stale, "{\"entry\":").expect("a file");
            }
            match by_writer {
                true => run_once(&path),
                false => drop(rotate(&path, "log.1").expect("a rotation")),
            }
            assert_eq!(fs::read(&kept).expect("a log"), ended, "{step}");
            let logs = [kept.clone(), path.clone()];
            assert_eq!(codes(&logs, None), [""; 0], "{step}");
            assert!(!stale.exists());
        }
    }
}

#[test]
fn rotation_to_a_name_that_exists_leaves_the_log_as_it_is() {
    // The next log is written at `log.next` first.
    for taken in ["log.1", "log.next"] {
        let (dir, path) = log_path();
        run_once(&path);
        let before = fs::read(&path).expect("a log");
        fs::write(dir.path().join(taken), "other").expect("a file");
        let error = rotate(&path, "log.1").expect_err("the name is taken");
        assert!(matches!(error, LogError::Io(_)), "{error}");
        assert_eq!(fs::read(&path).expect("a log"), before);
        assert_eq!(
            fs::read_to_string(dir.path().join(taken)).expect("a file"),
            "other"
        );
    }
}

#[test]
fn rotated_log_at_its_kept_name_is_not_written_to_and_stays() {
    let (_dir, logs, _) = chain();
    let before = logs.each_ref().map(|log| fs::read(log).expect("a log"));
    for kept in &logs[..2] {
        let error = rotate(kept, "log.9").expect_err("it is rotated");
        assert!(matches!(error, LogError::Rotated(_)), "{error}");
        let cancel = never_cancelled();
        let writer = LogWriter::open(kept, &cancel).expect("a log");
        let error = record_empty_run(&writer).expect_err("it is rotated");
        assert!(matches!(error, LogError::Rotated(_)), "{error}");
    }
    assert_eq!(logs.map(|log| fs::read(log).expect("a log")), before);
}

#[test]
fn rotation_to_the_name_that_the_next_log_is_written_at_leaves_the_log_as_it_is() {
    let (dir, path) = log_path();
    run_once(&path);
    let before = fs::read(&path).expect("a log");
    let error = rotate(&path, "log.next").expect_err("the log would be lost");
    assert!(error.to_string().contains("log.next"), "{error}");
    assert_eq!(fs::read(&path).expect("a log"), before);
    assert!(!dir.path().join("log.next").exists());
}

#[test]
fn rotation_of_a_log_whose_name_has_no_room_leaves_the_log_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    // With ".next", one byte more than a name may have.
    let path = dir.path().join("l".repeat(251));
    run_once(&path);
    let before = fs::read(&path).expect("a log");
    let error = rotate(&path, "log.1").expect_err("the next log has no name");
    assert!(matches!(error, LogError::Io(_)), "{error}");
    assert_eq!(fs::read(&path).expect("a log"), before);
    run_once(&path);
}

#[test]
fn log_behind_a_symlink_is_rotated_in_its_own_directory() {
    let (dir, path) = log_path();
    run_once(&path);
    let links = tempfile::tempdir().expect("a directory");
    let link = links.path().join("link");
    symlink(&path, &link).expect("a link");
    let cancel = never_cancelled();
    let writer = LogWriter::open(&link, &cancel).expect("a log");
    record_empty_run(&writer).expect("records");
    rotate(&link, "log.1").expect("a rotation");
    record_empty_run(&writer).expect("records");
    assert!(link.is_symlink());
    assert_eq!(codes(&[dir.path().join("log.1"), path], None), [""; 0]);
}

#[test]
fn log_rotated_while_two_writers_append_verifies() {
    const ROTATIONS: usize = 6;
    const RUNS: usize = 40;
    let (dir, path) = log_path();
    run_once(&path);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let cancel = never_cancelled();
                let log = LogWriter::open(&path, &cancel).expect("a log");
                for _ in 0..RUNS {
                    record_empty_run(&log).expect("records");
                }
            });
        }
        scope.spawn(|| {
            for n in 1..=ROTATIONS {
                rotate(&path, &format!("log.{n}")).expect("a rotation");
            }
        });
    });
    let mut logs: Vec<_> = (1..=ROTATIONS)
        .map(|n| dir.path().join(format!("log.{n}")))
        .collect();
    logs.push(path);
    assert_eq!(codes(&logs, None), [""; 0]);
    let count = |log: &PathBuf| lines(&fs::read(log).expect("a log")).len();
    let count: usize = logs.iter().map(count).sum();
    assert_eq!(count, 2 * (2 * RUNS + 1) + 1 + 2 * ROTATIONS);
}

#[test]
fn rotated_log_is_named_by_the_number_of_its_rotation_though_earlier_ones_were_moved() {
    let cancel = never_cancelled();
    for origin in [None, Some("example.com/builds")] {
        let origin = origin.map(|origin| LogId::try_from(origin.to_owned()).expect("an origin"));
        let (dir, path) = log_path();
        for n in 1..=12 {
            let log = LogWriter::open(&path, &cancel).expect("a log");
            let log = log.with_origin(origin.clone());
            record_empty_run(&log).expect("records");
            let kept = log.rotate(None).expect("a rotation").1;
            assert_eq!(kept, name(&format!("log.{n}")));
            fs::rename(dir.path().join(kept.as_str()), dir.path().join("moved")).expect("a log");
        }
        fs::write(dir.path().join("log.13"), "").expect("a file");
        let log = LogWriter::open(&path, &cancel).expect("a log");
        assert_eq!(log.rotate(None).expect("a rotation").1, name("log.14"));
    }
}

#[test]
fn log_with_an_origin_is_numbered_by_it_whatever_its_earlier_logs_are_called() {
    let cancel = never_cancelled();
    let origin = LogId::try_from("example.com/builds".to_owned()).expect("an origin");
    let (_dir, path) = log_path();
    for (to, kept) in [(Some(name("first")), "first"), (None, "log.2")] {
        let log = LogWriter::open(&path, &cancel).expect("a log");
        let log = log.with_origin(Some(origin.clone()));
        record_empty_run(&log).expect("records");
        assert_eq!(log.rotate(to).expect("a rotation").1, name(kept));
    }
}

/// As logrotate's `copytruncate` does it.
#[test]
fn copied_and_truncated_log_is_found_with_a_checkpoint_and_not_without() {
    let (dir, path) = log_path();
    run_once(&path);
    let log = fs::read(&path).expect("a log");
    let checkpoint = verify(&log, None).0;
    fs::write(dir.path().join("log.1"), &log).expect("a copy");
    fs::write(&path, "").expect("a log");
    let chain = [dir.path().join("log.1"), path.clone()];
    assert_eq!(codes(&chain, checkpoint.clone()), ["empty-log"]);
    let empty = codes(std::slice::from_ref(&path), checkpoint.clone());
    assert_eq!(empty, ["empty-log", "truncated-log"]);
    run_once(&path);
    let found = codes(std::slice::from_ref(&path), checkpoint);
    assert_eq!(found, ["foreign-checkpoint"]);
    assert_eq!(codes(std::slice::from_ref(&path), None), [""; 0]);
    // As a chain it is not one.
    assert_eq!(codes(&chain, None), ["succession"]);
    assert_eq!(
        FindingKind::Succession("that one was not rotated").severity(),
        Severity::Broken
    );
}
