//! Reading and verifying a log's file, and comparing a cache with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use skopeo_index::audit_log::{
    OpenRuns, ReadError, check_objects, read_intact_log, read_lines, verify_logs,
};
use skopeo_index::os::PathError;
use skopeo_index_core::audit::{
    Entry, Finding, FindingKind, KeepObjects, LogSummary, MAX_RECORD_LEN, Objects, Record,
    leaf_hash,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{ObjectStatus, State};
use test_support::audit_log::{all_findings, lines, verify};
use test_support::loopback::samples;

use crate::writer::log_path;
use crate::{logs, write_log};

#[test]
fn read_lines_of_many_batches_are_in_order_and_the_torn_line_is_measured() {
    let (_dir, path) = log_path();
    let mut expected: Vec<Vec<u8>> = (0..30_000).map(|n| n.to_string().into_bytes()).collect();
    // Lines that fill a batch, and one that is too long to be a record.
    expected.insert(7, vec![b'x'; MAX_RECORD_LEN]);
    expected.insert(20_000, vec![b'y'; MAX_RECORD_LEN + 1]);
    let mut log = expected.join(&b'\n');
    log.extend(b"\ntorn");
    fs::write(&path, log).expect("a log");
    let mut leaves = Vec::new();
    let torn = read_lines(&path, |line| {
        leaves.push(line.leaf_hash());
        Ok::<_, ReadError>(())
    });
    assert_eq!(torn.expect("a log"), 4);
    let hashes = expected.iter().map(|line| leaf_hash(line));
    assert!(leaves.into_iter().eq(hashes));
}

/// All findings of a log's file, those of its lines first.
fn verify_file(path: &Path, keep: KeepObjects) -> (LogSummary, Vec<Finding>) {
    let mut findings = Vec::new();
    let verified = verify_logs(&[path], None, keep, |_, _, found| {
        findings.extend(found);
        Ok::<_, ReadError>(())
    });
    (verified.expect("a log"), findings)
}

#[test]
fn verify_logs_finds_what_the_verifier_finds_in_memory() {
    let (_dir, path) = log_path();
    let [log, other] = logs();
    let mut changed = log.clone();
    changed[log.len() / 2] ^= 1;
    let torn = log[..log.len() - 7].to_vec();
    for log in [log.clone(), changed, torn, [log, &other[..]].concat()] {
        fs::write(&path, &log).expect("a log");
        let (summary, findings) = verify_file(&path, KeepObjects::No);
        assert_eq!((summary.checkpoint, findings), all_findings(&log, None));
    }
}

#[test]
fn read_intact_log_returns_the_checkpoint_or_the_first_bad_finding() {
    let (_dir, path) = log_path();
    let missing = read_intact_log(&path, None);
    assert!(matches!(missing, Err(ReadError::Io(_))), "{missing:?}");

    let [log, _] = logs();
    fs::write(&path, log).expect("a log");
    let checkpoint = read_intact_log(&path, None).expect("an intact log");
    assert_eq!(Some(checkpoint), verify(log, None).0);

    let mut changed = log.clone();
    changed[log.len() / 2] ^= 1;
    let line = log[..log.len() / 2].iter().filter(|b| **b == b'\n').count();
    fs::write(&path, changed).expect("a log");
    let finding = match read_intact_log(&path, None) {
        Err(ReadError::NotIntact { finding, .. }) => finding,
        other => panic!("{other:?}"),
    };
    assert!(
        matches!(finding.kind, FindingKind::InvalidRecord(_)),
        "{finding}"
    );
    assert_eq!(finding.at, Some(line as u64));

    fs::write(&path, "").expect("a log");
    let empty = read_intact_log(&path, None);
    let is_empty = |finding: &Finding| finding.kind == FindingKind::EmptyLog;
    assert!(
        matches!(&empty, Err(ReadError::NotIntact { finding, .. }) if is_empty(finding)),
        "{empty:?}"
    );
}

/// The findings of comparing a cache with the objects of a log.
fn object_findings(committed: &BTreeMap<String, Objects>, cache: &Path) -> Vec<FindingKind> {
    let mut findings = Vec::new();
    let checked = check_objects(committed, cache, |finding| {
        findings.push(finding.kind);
        Ok::<_, PathError>(())
    });
    checked.expect("a cache");
    findings
}

#[test]
fn check_objects_reports_corrupt_missing_and_unrecorded_objects() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = write_log(dir.path());
    let cache = dir.path().join("cache");
    let (summary, _) = verify_file(&log, KeepObjects::Yes);
    let committed = summary.committed;
    assert_eq!(object_findings(&committed, &cache), []);

    let object = |n| cache.join(Digest::of(&samples::distinct(n)).to_string());
    fs::write(object(0), "corrupt").expect("an object");
    fs::remove_file(object(1)).expect("an object");
    fs::write(object(9), samples::distinct(9)).expect("an object");
    // Of another source, and so no index without a record.
    fs::write(cache.join(Digest::of(b"rpm").to_string()), "rpm").expect("an object");
    let mut findings = object_findings(&committed, &cache);
    let unrecorded = FindingKind::UnrecordedObject(Digest::of(&samples::distinct(9)));
    assert_eq!(findings.pop(), Some(unrecorded));
    let expected = [(0, ObjectStatus::Corrupt), (1, ObjectStatus::Missing)];
    let expected = expected.map(|(n, status)| FindingKind::Object {
        digest: Digest::of(&samples::distinct(n)),
        status,
    });
    assert_eq!(findings.len(), expected.len(), "{findings:?}");
    assert!(expected.iter().all(|kind| findings.contains(kind)));
}

#[test]
fn check_objects_of_a_moved_cache_looks_for_all_and_of_several_only_for_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = write_log(dir.path());
    let (cache, moved) = (dir.path().join("cache"), dir.path().join("moved"));
    let (summary, _) = verify_file(&log, KeepObjects::Yes);
    let mut committed = summary.committed;
    fs::rename(&cache, &moved).expect("a new name");
    let findings = object_findings(&committed, &moved);
    assert_eq!(findings, [FindingKind::UnknownCache]);

    let other = Objects::from([(Digest::of(b"1"), 1), (Digest::of(b"2"), 2)]);
    committed.insert("/other".to_owned(), other);
    fs::rename(&moved, &cache).expect("the old name");
    let findings = object_findings(&committed, &cache);
    assert_eq!(findings, [FindingKind::OtherCaches(2)]);
}

#[test]
fn open_runs_returns_the_run_of_each_record_that_ends_a_fetch() {
    let mut runs = OpenRuns::default();
    let (mut begun, mut ends) = (None, 0);
    for line in lines(&logs()[0]) {
        let record = Record::parse(line.trim_ascii_end()).expect("a record");
        let run = runs.fetch_end(&record).map(|origin| origin.run);
        let expected = match &record.entry {
            Entry::Run(run) => {
                begun = Some(run.clone());
                None
            }
            Entry::Transition(made)
                if matches!(made.event.to, State::Committed | State::Failed) =>
            {
                ends += 1;
                begun.clone()
            }
            _ => None,
        };
        assert_eq!(run, expected, "{record:?}");
    }
    assert!(ends > 5, "{ends}");

    // A run that has ended is forgotten, and one that has not begun is not known.
    let records = lines(&logs()[0]);
    let record = |at: usize| Record::parse(records[at].trim_ascii_end()).expect("a record");
    let is_end = |at: &usize| matches!(record(*at).entry, Entry::End { .. });
    let end = (0..records.len()).find(is_end).expect("an end");
    let last_fetch = record(end - 1);
    let mut runs = OpenRuns::default();
    assert_eq!(runs.fetch_end(&last_fetch), None);
    (0..=end).for_each(|at| drop(runs.fetch_end(&record(at))));
    assert_eq!(runs.fetch_end(&last_fetch), None);
}
