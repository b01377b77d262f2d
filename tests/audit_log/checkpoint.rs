//! `audit_log::checkpoint`: a saved checkpoint, and the log or chain of logs that extends it.

use std::fs;
use std::path::{Path, PathBuf};

use skopeo_index::audit_log::{LogError, LogWriter};
use skopeo_index_core::audit::{Checkpoint, FileName, LogId, SavedCheckpoint};
use test_support::audit_log::verify;
use test_support::program::fakes::never_cancelled;

use crate::record_empty_run;
use crate::writer::log_path;

const ORIGIN: &str = "example.com/builds";

/// Records a run with the required origin, and saves the checkpoint.
fn run_and_save(log: &Path, to: &Path) -> Result<Checkpoint, LogError> {
    let cancel = never_cancelled();
    let origin = LogId::try_from(ORIGIN.to_owned()).expect("an origin");
    let log = LogWriter::open(log, &cancel)?.with_origin(Some(origin));
    record_empty_run(&log)?;
    log.save_checkpoint(to, None)?;
    Ok(read(to))
}

fn read(checkpoint: &Path) -> Checkpoint {
    let saved = SavedCheckpoint::parse(&fs::read(checkpoint).expect("a file"));
    saved.expect("a checkpoint").checkpoint().clone()
}

fn rotate(log: &Path, to: &str) -> Checkpoint {
    let cancel = never_cancelled();
    let to = FileName::try_from(to.to_owned()).expect("a name");
    let log = LogWriter::open(log, &cancel).expect("a log");
    log.rotate(Some(to)).expect("a rotation").0
}

/// A log with a saved checkpoint.
fn saved() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let (dir, log) = log_path();
    let to = dir.path().join("checkpoint");
    run_and_save(&log, &to).expect("a checkpoint");
    (dir, log, to)
}

#[test]
fn checkpoint_of_a_log_rotated_any_number_of_times_is_replaced() {
    for rotations in 0..4 {
        let (_dir, log, to) = saved();
        for n in 0..rotations {
            rotate(&log, &format!("log.{n}"));
        }
        let found = run_and_save(&log, &to).expect("a checkpoint");
        let expected = match rotations {
            0 => ORIGIN.to_owned(),
            n => format!("{ORIGIN}/rotation-{}", n + 1),
        };
        assert_eq!(found.origin.as_str(), expected);
        let verified = verify(&fs::read(&log).expect("a log"), None).0;
        assert_eq!(Some(found), verified);
    }
}

#[test]
fn checkpoint_of_a_missing_or_rewritten_rotated_log_is_kept() {
    let (_dir, log, to) = saved();
    let (kept, before) = (log.with_file_name("log.1"), read(&to));
    rotate(&log, "log.1");
    let bytes = fs::read(&kept).expect("a log");
    fs::remove_file(&kept).expect("a log");
    let error = run_and_save(&log, &to).expect_err("nothing shows the succession");
    assert!(error.to_string().contains("log.1"), "{error}");
    // With another byte in a record, with another log, and with the log itself in its place.
    let (_other_dir, other, _) = saved();
    let other = fs::read(other).expect("a log");
    let mut changed = bytes.clone();
    changed[9] ^= 1;
    let itself = fs::read(&log).expect("a log");
    for wrong in [&changed, &other, &itself] {
        fs::write(&kept, wrong).expect("a file");
        let error = run_and_save(&log, &to).expect_err("another log");
        let is_other = matches!(error, LogError::NotExtended(_) | LogError::Broken { .. });
        assert!(is_other, "{error}");
        assert_eq!(read(&to), before);
    }
    fs::write(&kept, bytes).expect("a file");
    run_and_save(&log, &to).expect("a checkpoint");
}

#[test]
fn final_checkpoint_of_a_rotated_log_needs_no_file() {
    let (_dir, log, to) = saved();
    let last = rotate(&log, "log.1");
    fs::remove_file(log.with_file_name("log.1")).expect("a log");
    let forged = Checkpoint {
        root: [0; 32],
        ..last.clone()
    };
    fs::write(&to, forged.to_string()).expect("a file");
    let error = run_and_save(&log, &to).expect_err("another root");
    assert!(matches!(error, LogError::NotExtended(_)), "{error}");
    fs::write(&to, last.to_string()).expect("a file");
    run_and_save(&log, &to).expect("a checkpoint");
}

#[test]
fn rotated_log_is_refused_to_a_writer_that_requires_another_origin() {
    let (_dir, log, to) = saved();
    rotate(&log, "log.1");
    let before = fs::read(&log).expect("a log");
    let cancel = never_cancelled();
    for origin in ["example.com/other", "example.com/builds/rotation-3"] {
        let origin = LogId::try_from(origin.to_owned()).expect("an origin");
        let writer = LogWriter::open(&log, &cancel).expect("a log");
        let error = record_empty_run(&writer.with_origin(Some(origin))).expect_err("another one");
        assert!(matches!(error, LogError::OtherOrigin { .. }), "{error}");
    }
    assert_eq!(fs::read(&log).expect("a log"), before);
    run_and_save(&log, &to).expect("a checkpoint");
}

#[test]
fn checkpoint_with_a_torn_last_line_is_extended_by_its_recovery() {
    for torn in [&b"{\"entry\":{\"end"[..], b"{\"entry\":{\"end\n"] {
        let (_dir, log, to) = saved();
        let whole = read(&to);
        {
            let cancel = never_cancelled();
            let writer = LogWriter::open(&log, &cancel).expect("a log");
            record_empty_run(&writer).expect("records");
            let bytes = fs::read(&log).expect("a log");
            // Another process dies.
            fs::write(&log, [&bytes, torn].concat()).expect("a log");
            writer.save_checkpoint(&to, None).expect("a checkpoint");
        }
        let counted = u64::from(torn.ends_with(b"\n"));
        assert_eq!(read(&to).size, whole.size + 2 + counted);
        let found = run_and_save(&log, &to).expect("a checkpoint");
        let verified = verify(&fs::read(&log).expect("a log"), None);
        assert_eq!(verified, (Some(found), vec![]));
    }
}
