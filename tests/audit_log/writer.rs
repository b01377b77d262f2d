//! Appending to a log that other processes append to, move, truncate or lock.

use std::fs;
use std::path::{Path, PathBuf};

use skopeo_index::audit_log::{LogError, LogWriter, Recorder, requires_sync};
use skopeo_index_core::audit::{Entry, Labels, MAX_RECORD_LEN, RunId, SourceInfo};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    CacheEntry, CancelReason, EffectError, Fetch, ManifestBytes, Outcome, Task,
};
use skopeo_index_core::skopeo::{CommandOutput, Exit};
use skopeo_index_core::verifier::Verifiers;
use test_support::audit_log::{all_findings, lines, unseal, verify};
use test_support::program::fakes::{MockSkopeo, POLICY, never_cancelled, request};

use crate::{RunEnd, record_empty_run, record_run, source_info};

/// A path for a log, in a directory of its own.
pub(crate) fn log_path() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    (dir, path)
}

#[test]
fn append_after_a_line_that_is_not_a_record_is_refused() {
    let (_dir, path) = log_path();
    fs::write(&path, "not a record\n").expect("a file");
    let cancel = never_cancelled();
    let log = LogWriter::open(&path, &cancel).expect("a file that can be opened");
    let error = record_empty_run(&log).expect_err("no record to follow");
    assert!(matches!(error, LogError::Broken { .. }), "{error}");
    assert!(error.to_string().contains("not a log"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "not a record\n");
}

#[test]
fn checkpoint_of_the_writer_is_that_of_a_reader() {
    let ((_dir, path), cancel) = (log_path(), never_cancelled());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    for _ in 0..3 {
        record_empty_run(&log).expect("records");
        let read = verify(&fs::read(&path).expect("a log"), None).0;
        assert_eq!(log.checkpoint().ok(), read);
    }
}

#[test]
fn append_to_a_moved_log_follows_it_and_to_a_removed_log_fails() {
    let ((dir, path), cancel) = (log_path(), never_cancelled());
    let moved = dir.path().join("log.1");
    let log = LogWriter::open(&path, &cancel).expect("a log");
    record_empty_run(&log).expect("records");
    fs::rename(&path, &moved).expect("a new name");
    record_empty_run(&log).expect("records");
    let read = verify(&fs::read(&moved).expect("a log"), None);
    assert_eq!((log.checkpoint().ok(), vec![]), read);

    fs::remove_file(&moved).expect("a log");
    let error = record_empty_run(&log).expect_err("the records would be lost");
    assert!(
        matches!(&error, LogError::Io(error) if error.to_string().contains("removed")),
        "{error}"
    );
}

#[test]
fn append_while_cancelled_and_locked_fails_soon_and_succeeds_once_unlocked() {
    let ((_dir, path), cancel) = (log_path(), never_cancelled());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    record_empty_run(&log).expect("records");
    let before = fs::read(&path).expect("a log");

    // Any reader can lock it.
    let other = fs::File::open(&path).expect("a log");
    other.lock_shared().expect("a lock");
    cancel.cancel(CancelReason::Interrupted);
    for _ in 0..100 {
        let error = record_empty_run(&log).expect_err("it is locked");
        assert!(matches!(error, LogError::Cancelled { .. }), "{error}");
    }
    assert_eq!(fs::read(&path).expect("a log"), before);

    // A cancelled run still records its end.
    other.unlock().expect("a lock");
    record_empty_run(&log).expect("records");
    assert_eq!(verify(&fs::read(&path).expect("a log"), None).1, []);
}

#[test]
fn append_to_a_log_truncated_or_replaced_during_the_run_is_refused() {
    let ((dir, path), cancel) = (log_path(), never_cancelled());
    let other = dir.path().join("other");
    for _ in 0..3 {
        let other = LogWriter::open(&other, &cancel).expect("a log");
        record_empty_run(&other).expect("records");
    }
    let other = fs::read(&other).expect("a log");
    type Change = fn(Vec<u8>, &[u8]) -> Vec<u8>;
    let changes: [Change; 7] = [
        |_, _| Vec::new(),
        |log, _| log[..log.len() - 1].to_vec(),
        |log, _| log[..log.len() / 2].to_vec(),
        |_, other| other.to_vec(),
        |mut log, other| {
            // Of the same length and longer.
            log.fill(b'x');
            log.push(b'\n');
            log.extend(other);
            log
        },
        // Followed by records that don't continue it: another log's, its own first.
        |log, other| [&log, other].concat(),
        |log, _| {
            let first = log.split_inclusive(|byte| *byte == b'\n').next();
            [&log, first.expect("a record")].concat()
        },
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let log = LogWriter::open(&path, &cancel).expect("a log");
        record_empty_run(&log).expect("records");
        let changed = change(fs::read(&path).expect("a log"), &other);
        fs::write(&path, &changed).expect("a log");
        let error = record_empty_run(&log).expect_err("its records are no longer there");
        assert!(matches!(error, LogError::Truncated(_)), "{n}: {error}");
        assert_eq!(fs::read(&path).expect("a log"), changed, "{n}");
        fs::remove_file(&path).expect("a log");
    }
}

#[test]
fn append_by_several_writers_in_turn_keeps_the_chain() {
    let ((_dir, path), cancel) = (log_path(), never_cancelled());
    let logs = [(); 3].map(|()| LogWriter::open(&path, &cancel).expect("a log"));
    for log in logs.iter().cycle().take(10) {
        record_empty_run(log).expect("records");
    }
    let log = fs::read(&path).expect("a log");
    assert_eq!(all_findings(&log, None).1, []);
    assert_eq!(lines(&log).len(), 21);
}

/// Appends a record with a text of this length.
fn append(log: &LogWriter<'_>, length: usize) -> Result<(), LogError> {
    let run: RunId = "0".repeat(16).try_into().expect("a name");
    let version = format!("1.0.0+{}", "x".repeat(length));
    log.append(
        run,
        Entry::Genesis {
            previous: None,
            version,
        },
    )
}

/// Appends a record of the maximum length, and returns the length of its text.
pub(crate) fn append_longest(log: &LogWriter<'_>) -> usize {
    let Err(LogError::TooLong { length, .. }) = append(log, MAX_RECORD_LEN) else {
        panic!("the record is too long")
    };
    let text = 2 * MAX_RECORD_LEN - length;
    append(log, text).expect("a record");
    text
}

#[test]
fn append_record_of_maximum_length_is_accepted_and_longer_is_refused() {
    let ((_dir, path), cancel) = (log_path(), never_cancelled());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    record_empty_run(&log).expect("records");
    let text = append_longest(&log);
    let before = fs::read(&path).expect("a log");
    let longest = before.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
    assert_eq!(longest, Some(MAX_RECORD_LEN));
    let error = append(&log, text + 1).expect_err("it is too long");
    assert!(matches!(error, LogError::TooLong { .. }), "{error}");
    assert_eq!(fs::read(&path).expect("a log"), before);
}

#[test]
fn open_log_has_o_append() {
    const O_APPEND: u32 = 0o2000;
    let ((_dir, path), cancel) = (log_path(), never_cancelled());
    let _log = LogWriter::open(&path, &cancel).expect("a log");
    let open = fs::read_dir("/proc/self/fd").expect("descriptors");
    let is_log = |entry: &fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|to| to == path);
    let fd = open.flatten().find(is_log).expect("its descriptor");
    let info = Path::new("/proc/self/fdinfo").join(fd.file_name());
    let info = fs::read_to_string(info).expect("its flags");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = u32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal");
    assert_eq!(flags & O_APPEND, O_APPEND, "{info}");
}

#[test]
fn run_record_names_cache_by_absolute_path_and_source() {
    let ((_dir, path), cancel) = (log_path(), never_cancelled());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    let (cache, other) = (Path::new("a/cache"), "/other".to_owned());
    let labels = Labels::default();
    Recorder::begin(
        &log,
        cache,
        POLICY,
        SourceInfo::Cache(other),
        &labels,
        None,
        Verifiers::default(),
    )
    .expect("a record");
    Recorder::begin(
        &log,
        cache,
        POLICY,
        source_info(),
        &labels,
        None,
        Verifiers::default(),
    )
    .expect("a record");
    let here = std::env::current_dir().expect("a directory");
    let records = unseal(&fs::read(&path).expect("a log"));
    let expected = [
        (&records[1], serde_json::json!({ "cache": "/other" })),
        (
            &records[2],
            serde_json::json!({ "skopeo": {
                "path": "/s", "sha256": null, "version": "skopeo version 1",
            } }),
        ),
    ];
    for (record, source) in expected {
        let run = &record["entry"]["run"];
        assert_eq!(run["cache"], here.join(cache).to_str().expect("UTF-8"));
        assert_eq!(run["source"], source);
    }
}

#[test]
fn command_record_of_a_killed_command_has_the_signal_and_no_exit() {
    let (dir, path) = log_path();
    let mut killed = MockSkopeo::new();
    killed.expect_run().returning(|_, _, _, _| {
        Ok(CommandOutput {
            exit: Exit::Signal(9),
            stdout: Vec::new(),
            stderr: Vec::new(),
        })
    });
    let (cache, requests) = (dir.path().join("cache"), [request(Digest::of(b""))]);
    record_run(&path, &cache, &killed, POLICY, &requests, RunEnd::Recorded);
    let records = unseal(&fs::read(path).expect("a log"));
    let mut commands = records
        .iter()
        .filter_map(|record| record["entry"]["transition"].get("command"));
    let command = commands.next().expect("a command");
    assert_eq!((&command["signal"], command.get("exit")), (&9.into(), None));
}

#[test]
fn requires_sync_of_a_failed_fetch_unless_it_was_cancelled() {
    let after = |outcome| {
        let task = Task {
            request: request(Digest::of(b"")),
            policy: POLICY,
            verifiers: 0,
        };
        let stepped = Fetch::<ManifestBytes>::new(task).step(outcome);
        requires_sync(&stepped.expect("a transition").1)
    };
    let after_failure = |error| after(Outcome::Failed { error });
    assert!(!after(Outcome::LookedUp {
        entry: CacheEntry::Absent
    }));
    assert!(after_failure(EffectError::AuditLog {
        error: String::new()
    }));
    for reason in [
        CancelReason::Interrupted,
        CancelReason::Deadline,
        CancelReason::HungUp,
    ] {
        assert!(!after_failure(EffectError::Cancelled { reason }));
    }
}
