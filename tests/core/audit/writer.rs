//! The log's file.

use std::fs;
use std::path::Path;

use skopeo_index::audit_log::{LogError, LogWriter, Recorder, Supply, requires_sync};
use skopeo_index::os::CancelToken;
use skopeo_index_core::audit::{Entry, MAX_RECORD_LEN, RunId};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{CancelReason, EffectError, Fetch, ManifestBytes, Outcome, Task};
use skopeo_index_core::skopeo::{CommandOutput, Exit};

use super::{End, all_findings, recorded, supply, verify};
use crate::stand_in::MockSkopeo;
use crate::stand_in::PLAN;
use crate::stand_in::request;

#[test]
fn a_log_that_cannot_be_continued_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    fs::write(&log, "not a record\n").expect("a file");
    let cancel = never();
    let opened = LogWriter::open(&log, &cancel).expect("a file that can be opened");
    let error = run(&opened).expect_err("no record to follow");
    assert!(error.contains("audit verify"), "{error}");
    assert_eq!(fs::read_to_string(&log).expect("a file"), "not a record\n");
}

pub(super) fn never() -> CancelToken {
    CancelToken::new(None).expect("a pipe")
}

/// A run that fetches nothing.
pub(super) fn run(log: &LogWriter<'_>) -> Result<(), String> {
    let begun = Recorder::begin(log, Path::new("/cache"), PLAN, supply());
    begun
        .and_then(|recorder| recorder.end())
        .map_err(|error| error.to_string())
}

#[test]
fn a_checkpoint_while_it_is_written_is_that_of_its_reader() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let cancel = never();
    let log = LogWriter::open(&path, &cancel).expect("a log");
    for _ in 0..3 {
        run(&log).expect("records");
        let read = verify(&fs::read(&path).expect("a log"), None).0;
        assert_eq!(log.checkpoint().ok(), read);
    }
}

#[test]
fn a_log_that_is_moved_goes_on_and_one_that_is_removed_takes_no_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, moved) = (dir.path().join("log"), dir.path().join("log.1"));
    let cancel = never();
    let log = LogWriter::open(&path, &cancel).expect("a log");
    run(&log).expect("records");
    fs::rename(&path, &moved).expect("a new name");
    run(&log).expect("records");
    let read = verify(&fs::read(&moved).expect("a log"), None);
    assert_eq!((log.checkpoint().ok(), vec![]), read);

    fs::remove_file(&moved).expect("a log");
    let error = run(&log).expect_err("nowhere to record it");
    assert!(error.contains("it was removed"), "{error}");
}

#[test]
fn who_holds_the_lock_keeps_nobody_who_was_told_to_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let cancel = never();
    let log = LogWriter::open(&path, &cancel).expect("a log");
    run(&log).expect("records");
    let before = fs::read(&path).expect("a log");

    // Whoever can read it can lock it.
    let other = fs::File::open(&path).expect("a log");
    other.lock_shared().expect("a lock");
    cancel.stop(CancelReason::Interrupted);
    for _ in 0..100 {
        let error = run(&log).expect_err("it is locked");
        assert!(error.contains("somebody else holds its lock"), "{error}");
    }
    assert_eq!(fs::read(&path).expect("a log"), before);

    // What is left to say is said all the same, where nobody is in the way.
    other.unlock().expect("a lock");
    run(&log).expect("records");
    assert_eq!(verify(&fs::read(&path).expect("a log"), None).1, []);
}

#[test]
fn a_log_that_was_cut_or_replaced_meanwhile_is_not_gone_on_with() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, cancel) = (dir.path().join("log"), never());
    let other = dir.path().join("other");
    for _ in 0..3 {
        run(&LogWriter::open(&other, &cancel).expect("a log")).expect("records");
    }
    let other = fs::read(&other).expect("a log");
    type Change = fn(Vec<u8>, &[u8]) -> Vec<u8>;
    let changes: [Change; 7] = [
        |_, _| Vec::new(),
        |log, _| log[..log.len() - 1].to_vec(),
        |log, _| log[..log.len() / 2].to_vec(),
        |_, other| other.to_vec(),
        |mut log, other| {
            // One who knows how long it was.
            log.fill(b'x');
            log.push(b'\n');
            log.extend(other);
            log
        },
        // Behind it stands what doesn't follow: a longer log's end, its own beginning.
        |log, other| [&log, other].concat(),
        |log, _| {
            let first = log.split_inclusive(|byte| *byte == b'\n').next();
            [&log, first.expect("a record")].concat()
        },
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let log = LogWriter::open(&path, &cancel).expect("a log");
        run(&log).expect("records");
        let now = change(fs::read(&path).expect("a log"), &other);
        fs::write(&path, &now).expect("a log");
        let error = run(&log).expect_err("what was written is no longer there");
        assert!(error.contains("it was cut or replaced"), "{n}: {error}");
        assert_eq!(fs::read(&path).expect("a log"), now, "{n}");
        fs::remove_file(&path).expect("a log");
    }
}

#[test]
fn others_may_append_meanwhile() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, cancel) = (dir.path().join("log"), never());
    let logs = [(); 3].map(|()| LogWriter::open(&path, &cancel).expect("a log"));
    for log in logs.iter().cycle().take(10) {
        run(log).expect("records");
    }
    let log = fs::read(&path).expect("a log");
    assert_eq!(all_findings(&log, None).1, []);
    assert_eq!(super::lines(&log).len(), 21);
}

/// Appends a record with so long a text in it.
fn append(log: &LogWriter<'_>, text: usize) -> Result<(), LogError> {
    let run: RunId = "0".repeat(16).try_into().expect("a name");
    let version = "x".repeat(text);
    log.append(&run, Entry::Genesis { version })
}

/// Appends a record that is as long as a line may be, and tells how long a text
/// was in it.
pub(super) fn append_longest(log: &LogWriter<'_>) -> usize {
    let Err(LogError::TooLong { length, .. }) = append(log, MAX_RECORD_LEN) else {
        panic!("it is too long")
    };
    let text = 2 * MAX_RECORD_LEN - length;
    append(log, text).expect("a record");
    text
}

#[test]
fn a_record_may_be_as_long_as_a_line_and_no_longer() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, cancel) = (dir.path().join("log"), never());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    run(&log).expect("records");
    let text = append_longest(&log);
    let before = fs::read(&path).expect("a log");
    let longest = before.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
    assert_eq!(longest, Some(MAX_RECORD_LEN));
    let error = append(&log, text + 1).expect_err("it is too long");
    assert!(matches!(error, LogError::TooLong { .. }), "{error}");
    assert_eq!(fs::read(&path).expect("a log"), before);
}

#[test]
fn a_log_is_opened_so_that_it_may_only_be_appended_to() {
    const O_APPEND: u32 = 0o2000;
    let dir = tempfile::tempdir().expect("a directory");
    let (path, cancel) = (dir.path().join("log"), never());
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
fn a_run_says_where_its_bytes_come_from_by_whole_paths() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, cancel) = (dir.path().join("log"), never());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    let (cache, from) = (Path::new("a/cache"), Path::new("/other"));
    Recorder::begin(&log, cache, PLAN, Supply::Cache(from)).expect("a record");
    Recorder::begin(&log, cache, PLAN, supply()).expect("a record");
    let here = std::env::current_dir().expect("a directory");
    let runs = super::unsealed(&fs::read(&path).expect("a log"));
    for (run, from) in [(&runs[1], Some("/other")), (&runs[2], None)] {
        let run = &run["op"]["run"];
        assert_eq!(run["cache"], here.join(cache).to_str().expect("UTF-8"));
        assert_eq!(run.get("from").and_then(serde_json::Value::as_str), from);
        assert_eq!(run["skopeo"].is_null(), from.is_some());
    }
}

#[test]
fn the_signal_that_ended_a_command_is_recorded() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let mut killed = MockSkopeo::new();
    killed.expect_run().returning(|_, _, _, _| {
        Ok(CommandOutput {
            exit: Exit::Signal(9),
            stdout: Vec::new(),
            stderr: Vec::new(),
        })
    });
    let requests = [request(Digest::of(b""))];
    let cache = dir.path().join("cache");
    recorded(&log, &cache, &killed, PLAN, &requests, &End::Well);
    let log = super::unsealed(&fs::read(log).expect("a log"));
    let mut commands = log
        .iter()
        .filter_map(|record| record["op"]["transition"].get("command"));
    let command = commands.next().expect("a command");
    assert_eq!((&command["signal"], command.get("exit")), (&9.into(), None));
}

#[test]
fn a_fetchs_end_is_durable_at_once_unless_it_was_told_to_stop() {
    let after = |outcome| {
        let task = Task {
            request: request(Digest::of(b"")),
            plan: PLAN,
        };
        let stepped = Fetch::<ManifestBytes>::new(task).step(outcome);
        requires_sync(&stepped.expect("a transition").1)
    };
    let failed = |trouble| after(Outcome::Failed { trouble });
    assert!(!after(Outcome::Absent));
    assert!(failed(EffectError::AuditLog {
        error: String::new()
    }));
    for why in [
        CancelReason::Interrupted,
        CancelReason::Deadline,
        CancelReason::HungUp,
    ] {
        assert!(!failed(EffectError::Cancelled { why }));
    }
}
