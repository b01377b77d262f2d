//! Recovery of torn lines: saved to a file, and recorded.

use std::fs;
use std::path::Path;

use skopeo_index::audit_log::{LogError, LogWriter};
use skopeo_index_core::audit::{FindingKind, MAX_RECORD_LEN};
use skopeo_index_core::digest::Digest;
use test_support::audit_log::{all_findings, unseal, verify};
use test_support::loopback::samples;
use test_support::program::fakes::{POLICY, never_cancelled, request, skopeo_with};

use crate::writer::{append_longest, log_path};
use crate::{RunEnd, logs, record_empty_run, record_run};

/// Records an empty run by a writer of its own.
fn run_once(path: &Path) -> Result<(), LogError> {
    let cancel = never_cancelled();
    record_empty_run(&LogWriter::open(path, &cancel).expect("a log"))
}

fn append_bytes(path: &Path, bytes: &[u8]) {
    let log = fs::read(path).expect("a log");
    fs::write(path, [&log, bytes].concat()).expect("a log");
}

#[test]
fn torn_line_at_any_byte_is_saved_and_recorded() {
    let [log, _] = logs();
    for cut in (1..log.len()).step_by(397) {
        let (dir, path) = log_path();
        fs::write(&path, &log[..cut]).expect("a file");
        record_run(
            &path,
            &dir.path().join("cache"),
            &skopeo_with(vec![samples::empty()]),
            POLICY,
            &[request(Digest::of(&samples::empty()))],
            RunEnd::Recorded,
        );
        let now = fs::read(&path).expect("a log");
        assert_eq!(verify(&now, None).1, [], "cut at {cut}");
        let newline = log[..cut].iter().rposition(|byte| *byte == b'\n');
        let whole = newline.map_or(0, |at| at + 1);
        assert!(now.starts_with(&log[..whole]), "cut at {cut}");
        let saved = fs::read(dir.path().join("log.torn-1")).unwrap_or_default();
        assert_eq!(saved, &log[whole..cut], "cut at {cut}");
        let recovered = now.windows(13).any(|window| window == b"{\"recovered\":");
        assert_eq!(recovered, whole < cut, "cut at {cut}");
    }
}

#[test]
fn torn_line_of_maximum_length_is_saved_and_so_is_the_next() {
    let ((dir, path), cancel) = (log_path(), never_cancelled());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    record_empty_run(&log).expect("records");
    for (n, torn) in [(1, vec![b'x'; MAX_RECORD_LEN]), (2, b"{".to_vec())] {
        append_bytes(&path, &torn);
        record_empty_run(&log).expect("records");
        let saved = dir.path().join(format!("log.torn-{n}"));
        assert_eq!(fs::read(saved).expect("the torn line"), torn);
    }
    assert_eq!(verify(&fs::read(&path).expect("a log"), None).1, []);
}

#[test]
fn torn_line_after_a_record_of_maximum_length_is_recovered() {
    let ((_dir, path), cancel) = (log_path(), never_cancelled());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    record_empty_run(&log).expect("records");
    append_longest(&log);
    append_bytes(&path, &[b'x'; MAX_RECORD_LEN]);
    run_once(&path).expect("records");
    assert_eq!(recorded_files(&fs::read(&path).expect("a log")).len(), 1);
}

/// Whether an error is the expected one.
type IsExpected = fn(&LogError) -> bool;

#[test]
fn torn_line_that_cannot_be_saved_or_is_too_long_stays_in_the_log() {
    // The name of the file for the torn line would be too long.
    let long_name = "x".repeat(254);
    let cases: [(&str, Vec<u8>, IsExpected); 2] = [
        (
            &long_name,
            b"{".to_vec(),
            |error| matches!(error, LogError::Io { operation, .. } if operation.starts_with("save")),
        ),
        ("log", vec![b'x'; MAX_RECORD_LEN + 1], |error| {
            matches!(error, LogError::Broken { .. })
        }),
    ];
    let dir = tempfile::tempdir().expect("a directory");
    for (name, torn, is_expected) in cases {
        let path = dir.path().join(name);
        fs::write(&path, &torn).expect("a log");
        let error = run_once(&path).expect_err("no record to follow");
        assert!(is_expected(&error), "{error}");
        assert_eq!(fs::read(&path).expect("a log"), torn);
    }
}

/// The files of torn lines that a log records: their names and digests.
fn recorded_files(log: &[u8]) -> Vec<(String, String)> {
    let recovered = |record: serde_json::Value| {
        let recovered = record["entry"].get("recovered")?;
        let text = |key: &str| recovered[key].as_str().expect("text").to_owned();
        Some((text("file"), text("sha256")))
    };
    unseal(log).into_iter().filter_map(recovered).collect()
}

/// Asserts that every file beside a log is recorded once, with its digest.
fn assert_files_are_recorded(log: &Path) {
    let mut files = Vec::new();
    for entry in fs::read_dir(log.parent().expect("a directory")).expect("a directory") {
        let name = entry.expect("a file").file_name();
        let name = name.into_string().expect("UTF-8");
        if name != "log" {
            let bytes = fs::read(log.with_file_name(&name)).expect("a file");
            files.push((name, Digest::of(&bytes).to_string()));
        }
    }
    let mut recorded = recorded_files(&fs::read(log).expect("a log"));
    files.sort();
    recorded.sort();
    assert_eq!(files, recorded);
}

#[test]
fn recovery_interrupted_is_completed_and_recorded_by_the_next() {
    let torn = b"{\"log\":\"skopeo-index/0";
    let left: [&[(&str, &[u8])]; 5] = [
        &[],
        &[("log.torn-1", b"")],
        &[("log.torn-1", &torn[..5])],
        &[("log.torn-1", torn)],
        // And one of a line that was torn while it was recovered.
        &[("log.torn-1", b"other"), ("log.torn-2", torn)],
    ];
    for files in left {
        let (dir, path) = log_path();
        run_once(&path).expect("records");
        append_bytes(&path, torn);
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).expect("a file");
        }
        run_once(&path).expect("records");
        assert_files_are_recorded(&path);
        let recorded = recorded_files(&fs::read(&path).expect("a log"));
        assert_eq!(recorded.len(), files.len().max(1), "{recorded:?}");
        let whole = Digest::of(torn).to_string();
        assert!(recorded.iter().any(|(_, sha256)| *sha256 == whole));

        // Once recorded, they are not recorded again.
        append_bytes(&path, b"{");
        run_once(&path).expect("records");
        assert_files_are_recorded(&path);
        let findings = all_findings(&fs::read(&path).expect("a log"), None).1;
        let is_recovered = |kind: &FindingKind| matches!(kind, FindingKind::RecoveredLine { .. });
        assert!(
            findings.iter().all(|finding| is_recovered(&finding.kind)),
            "{findings:?}"
        );
        assert_eq!(findings.len(), recorded.len() + 1);
    }
}

#[test]
fn recovery_directory_symlink_or_long_file_beside_the_log_is_not_a_torn_line() {
    let (dir, path) = log_path();
    fs::write(&path, "{").expect("a log");
    fs::create_dir(dir.path().join("log.torn-1")).expect("a directory");
    let link = dir.path().join("log.torn-2");
    std::os::unix::fs::symlink("/etc/passwd", link).expect("a link");
    // Longer than any line.
    let long = vec![b'x'; MAX_RECORD_LEN + 1];
    fs::write(dir.path().join("log.torn-3"), long).expect("a file");
    run_once(&path).expect("records");
    let recorded = recorded_files(&fs::read(&path).expect("a log"));
    let expected = ("log.torn-4".to_owned(), Digest::of(b"{").to_string());
    assert_eq!(recorded, [expected]);
}
