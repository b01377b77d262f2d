//! `audit_log::recover`: torn lines stay in the log, and the next record names them.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use skopeo_index::audit_log::{LogError, LogWriter};
use skopeo_index_core::audit::{
    Entry, Finding, FindingKind, MAX_RECORD_LEN, MAX_TORN_LINES, Record, TornLine,
};
use test_support::audit_log::{all_findings, lines, verify};
use test_support::program::fakes::never_cancelled;
use test_support::property::config;

use crate::writer::{append_longest, log_path};
use crate::{logs, record_empty_run};

/// Records an empty run by a writer of its own.
fn run_once(path: &Path) -> Result<(), LogError> {
    let cancel = never_cancelled();
    record_empty_run(&LogWriter::open(path, &cancel).expect("a log"))
}

fn append_bytes(path: &Path, bytes: &[u8]) {
    let log = fs::read(path).expect("a log");
    fs::write(path, [&log, bytes].concat()).expect("a log");
}

/// The log after a run, which is intact and begins with what was there before.
#[track_caller]
fn log_after_run(path: &Path) -> Vec<u8> {
    let before = fs::read(path).expect("a log");
    run_once(path).expect("records");
    let log = fs::read(path).expect("a log");
    assert!(log.starts_with(&before));
    assert_eq!(verify(&log, None).1, []);
    log
}

/// The torn lines that records name.
fn named(log: &[u8]) -> Vec<TornLine> {
    let recovered = |line: &Vec<u8>| match Record::parse(line.trim_ascii_end()).ok()?.entry {
        Entry::Recovered { lines } => Some(lines),
        _ => None,
    };
    lines(log).iter().filter_map(recovered).flatten().collect()
}

#[test]
fn torn_line_at_any_byte_stays_and_is_named() {
    let [log, _] = logs();
    for cut in (1..log.len()).step_by(397) {
        let (_dir, path) = log_path();
        fs::write(&path, &log[..cut]).expect("a file");
        let now = log_after_run(&path);
        let newline = log[..cut].iter().rposition(|byte| *byte == b'\n');
        let torn = &log[newline.map_or(0, |at| at + 1)..cut];
        let is_torn = !torn.is_empty() && Record::parse(torn).is_err();
        let expected: Vec<_> = is_torn.then(|| TornLine::of(torn)).into_iter().collect();
        assert_eq!(named(&now), expected, "cut at {cut}");
    }
}

#[test]
fn recovery_torn_anywhere_is_completed_by_the_next() {
    let (_dir, path) = log_path();
    run_once(&path).expect("records");
    append_bytes(&path, b"{\"entry\":{\"run");
    let before = fs::read(&path).expect("a log").len();
    let recovered = log_after_run(&path);
    for cut in (before..=recovered.len()).step_by(5) {
        fs::write(&path, &recovered[..cut]).expect("a log");
        let now = log_after_run(&path);
        // Once more: the second recovery is torn in its middle.
        let half = cut + (now.len() - cut) / 3;
        fs::write(&path, &now[..half]).expect("a log");
        log_after_run(&path);
    }
}

proptest! {
    #![proptest_config(config(32, "audit-torn.txt"))]

    #[test]
    fn log_torn_again_and_again_verifies(cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..12)) {
        let (_dir, path) = log_path();
        run_once(&path).expect("records");
        for (cut, garbage) in cuts {
            let before = fs::read(&path).expect("a log").len();
            run_once(&path).expect("records");
            let log = fs::read(&path).expect("a log");
            let cut = before + cut.index(log.len() - before + 1);
            fs::write(&path, &log[..cut]).expect("a log");
            if garbage {
                // What a file system may leave after a power failure.
                append_bytes(&path, &[0; 100]);
            }
        }
        run_once(&path).expect("records");
        prop_assert_eq!(verify(&fs::read(&path).expect("a log"), None).1, []);
    }
}

#[test]
fn complete_record_without_its_newline_is_a_record() {
    let (_dir, path) = log_path();
    run_once(&path).expect("records");
    let log = fs::read(&path).expect("a log");
    fs::write(&path, &log[..log.len() - 1]).expect("a log");
    assert_eq!(named(&log_after_run(&path)), []);
}

#[test]
fn torn_line_of_any_length_is_named() {
    let ((_dir, path), cancel) = (log_path(), never_cancelled());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    record_empty_run(&log).expect("records");
    append_longest(&log);
    let mut torn = Vec::new();
    for length in [1, MAX_RECORD_LEN, MAX_RECORD_LEN + 1, 10 * MAX_RECORD_LEN] {
        let line = vec![b'x'; length];
        append_bytes(&path, &line);
        torn.push(TornLine::of(&line));
        run_once(&path).expect("records");
        assert_eq!(named(&fs::read(&path).expect("a log")), torn, "{length}");
    }
    // The writer finds its place, too.
    append_bytes(&path, b"{");
    record_empty_run(&log).expect("records");
    let findings = verify(&fs::read(&path).expect("a log"), None).1;
    // The longest record is a second genesis.
    let is_genesis = |found: &Finding| found.kind == FindingKind::Genesis;
    assert!(findings.iter().all(is_genesis), "{findings:?}");
}

#[test]
fn torn_first_line_is_named_before_the_genesis() {
    let (_dir, path) = log_path();
    fs::write(&path, "{\"entry\":{\"gen").expect("a log");
    let log = log_after_run(&path);
    assert_eq!(named(&log).len(), 1);
    log_after_run(&path);
}

#[test]
fn torn_lines_up_to_their_limit_are_named_and_more_are_refused() {
    let (_dir, path) = log_path();
    run_once(&path).expect("records");
    append_bytes(&path, &b"{\n".repeat(MAX_TORN_LINES));
    let named = named(&log_after_run(&path));
    assert_eq!(named.len(), MAX_TORN_LINES);

    append_bytes(&path, &b"{\n".repeat(MAX_TORN_LINES + 1));
    let before = fs::read(&path).expect("a log");
    let error = run_once(&path).expect_err("too many");
    assert!(matches!(error, LogError::Broken { .. }), "{error}");
    assert_eq!(fs::read(&path).expect("a log"), before);
}

#[test]
fn changed_last_record_is_not_recovered_and_never_accepted() {
    let (_dir, path) = log_path();
    run_once(&path).expect("records");
    let log = fs::read(&path).expect("a log");
    // A record with a trailer was written to its end.
    let mut changed = log.clone();
    let at = log.len() - 100;
    changed[at] ^= 1;
    fs::write(&path, &changed).expect("a log");
    let error = run_once(&path).expect_err("a changed record");
    assert!(matches!(error, LogError::Broken { .. }), "{error}");
    let findings = verify(&changed, None).1;
    assert!(
        matches!(
            &findings[..],
            [Finding {
                kind: FindingKind::InvalidRecord(_),
                ..
            }]
        ),
        "{findings:?}"
    );
}

#[test]
fn torn_line_is_accepted_only_before_the_record_that_names_it() {
    let (_dir, path) = log_path();
    run_once(&path).expect("records");
    append_bytes(&path, b"{\"torn");
    let log = log_after_run(&path);
    let lines = lines(&log);
    let torn = lines
        .iter()
        .position(|line| line == b"{\"torn\n")
        .expect("it");
    type Lines = Vec<Vec<u8>>;
    let findings_with = |change: fn(&mut Lines, usize)| {
        let mut changed = lines.clone();
        change(&mut changed, torn);
        verify(&changed.concat(), None).1
    };
    let changes: [fn(&mut Lines, usize); 6] = [
        |lines, torn| lines[torn] = b"{\"tora\n".to_vec(),
        |lines, torn| lines[torn] = b"{\"tor\n".to_vec(),
        |lines, torn| drop(lines.remove(torn)),
        |lines, torn| lines.insert(torn, b"{\"torn\n".to_vec()),
        |lines, torn| lines.swap(torn, torn + 1),
        |lines, torn| drop(lines.remove(torn + 1)),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_ne!(findings_with(change), [], "{n}");
    }
    // At the end, it is what an interrupted recovery leaves.
    let ended = lines[..=torn].concat();
    let findings = all_findings(&ended, None).1;
    let expected = Finding {
        at: Some(torn as u64),
        kind: FindingKind::TornLine(6),
    };
    assert_eq!(findings, [expected]);
}
