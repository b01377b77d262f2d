//! Replay: a log whose records contradict each other is found however it is chained.

use std::collections::BTreeSet;

use crate::support::audit_log::sample::logs;
use crate::support::audit_log::{all_findings, another_log, lines, rechain, unseal, verify};
use crate::support::samples;
use serde_json::Value;
use skopeo_index_core::audit::{Finding, FindingKind, KeepObjects, LogVerifier, ParsedLine};
use skopeo_index_core::digest::Digest;

/// The findings for a log whose records were changed and chained again.
fn findings(change: impl FnOnce(&mut Vec<Value>)) -> Vec<FindingKind> {
    let mut records = unseal(&logs()[0]);
    change(&mut records);
    let found = verify(&rechain(&records), None).1;
    found.into_iter().map(|finding| finding.kind).collect()
}

/// The position of the last record with an entry of this kind.
fn last(records: &[Value], kind: &str) -> usize {
    records
        .iter()
        .rposition(|record| record["entry"].get(kind).is_some())
        .expect("one")
}

/// The positions of the last commit and of the end of its run.
fn last_commit(records: &[Value]) -> (usize, usize) {
    let to = |record: &Value| record["entry"]["transition"]["event"]["to"] == "committed";
    let at = records.iter().rposition(to).expect("one");
    let end = |record: &Value| {
        record["entry"].get("end").is_some() && record["run"] == records[at]["run"]
    };
    (at, records.iter().position(end).expect("an end"))
}

fn add(record: &mut Value, key: &str, by: i64) {
    let number = &mut record["entry"]["end"][key];
    *number = (number.as_i64().expect("a number") + by).into();
}

#[test]
fn impossible_sequence_of_records_is_found_even_if_rechained() {
    assert_eq!(findings(|_| {}), [], "rechained and unchanged");
    let run = |found: &[FindingKind]| matches!(found, [FindingKind::Run { .. }]);
    let all_run = |found: &[FindingKind]| {
        !found.is_empty()
            && found
                .iter()
                .all(|kind| matches!(kind, FindingKind::Run { .. }))
    };

    let found = findings(|records| drop(records.remove(last(records, "run"))));
    assert!(all_run(&found) && found.len() > 1, "not begun: {found:?}");
    let found = findings(|records| {
        records.insert(last(records, "run"), records[last(records, "run")].clone())
    });
    assert!(
        matches!(&found[..], [FindingKind::ReusedRun(_)]),
        "begun twice: {found:?}"
    );
    let found = findings(|records| records.push(records[last(records, "end")].clone()));
    assert!(run(&found), "ended twice: {found:?}");
    let found = findings(|records| {
        let at = last(records, "run");
        records[at]["log"] = another_log().into();
    });
    assert!(
        matches!(&found[..], [FindingKind::ForeignRecord(_)]),
        "{found:?}"
    );
    let found = findings(|records| records.push(records[0].clone()));
    assert!(matches!(&found[..], [FindingKind::Genesis]), "{found:?}");
    let found = findings(|records| drop(records.remove(0)));
    assert!(matches!(&found[..], [FindingKind::Genesis]), "{found:?}");
    let found = findings(|records| drop(records.remove(last_commit(records).0 - 1)));
    assert!(
        matches!(&found[..], [FindingKind::Replay { .. }, ..]),
        "{found:?}"
    );
    let found = findings(|records| {
        let (at, _) = last_commit(records);
        records[at]["entry"]["transition"]["request"]["name"] = "other".into();
    });
    assert!(
        matches!(&found[..], [FindingKind::Replay { .. }, ..]),
        "{found:?}"
    );
    let found = findings(|records| {
        let (at, _) = last_commit(records);
        records[at]["entry"]["transition"]["event"]["to"] = "failed".into();
    });
    assert!(
        matches!(&found[..], [FindingKind::Replay { .. }, ..]),
        "{found:?}"
    );
}

#[test]
fn end_of_a_run_must_match_its_recorded_fetches() {
    let run = |found: &[FindingKind]| matches!(found, [FindingKind::Run { .. }]);
    for (key, by) in [("committed", 1), ("committed", -1), ("failed", 1)] {
        let found = findings(|records| {
            let (_, end) = last_commit(records);
            add(&mut records[end], key, by);
        });
        assert!(run(&found), "{key} {by}: {found:?}");
    }
    let found = findings(|records| {
        let (at, end) = last_commit(records);
        add(&mut records[end], "committed", -1);
        records.remove(at);
    });
    assert!(run(&found), "one was left open: {found:?}");
    let found = findings(|records| {
        let (at, end) = last_commit(records);
        add(&mut records[end], "unrecorded", 1);
        records.remove(at);
    });
    assert!(run(&found), "a success without a record: {found:?}");
    let found = findings(|records| {
        let (at, end) = last_commit(records);
        for (key, by) in [("committed", -1), ("failed", 1), ("unrecorded", 1)] {
            add(&mut records[end], key, by);
        }
        records.remove(at);
    });
    assert_eq!(
        found,
        [],
        "a fetch that failed because its record could not be written"
    );
}

#[test]
fn committed_objects_are_collected_per_cache_on_request() {
    let mut records = unseal(&logs()[0]);
    let place = last(&records, "run");
    records[place]["entry"]["run"]["cache"] = "/other".into();
    let log = rechain(&records);
    let committed = |keep| {
        let mut verifier = LogVerifier::new(None, keep);
        for line in lines(&log) {
            assert_eq!(
                verifier.check_line(&ParsedLine::parse(line.trim_ascii_end())),
                []
            );
        }
        verifier.finish(0).0.committed
    };
    assert!(committed(KeepObjects::No).is_empty());
    let mut caches = committed(KeepObjects::Yes);
    let nothing = caches.remove("/other").expect("the cache of the last run");
    assert!(nothing.is_empty(), "the last run committed nothing");
    let (_, objects) = caches.pop_first().expect("another cache");
    assert!(caches.is_empty());
    let digest = |document: Vec<u8>| Digest::of(&document);
    let expected: BTreeSet<_> = (0..3)
        .map(samples::distinct)
        .chain([samples::empty()])
        .map(digest)
        .collect();
    assert!(objects.keys().eq(&expected), "{objects:?}");
    for (digest, at) in objects {
        let record = &records[usize::try_from(at).expect("a place")]["entry"]["transition"];
        assert_eq!(record["event"]["to"], "committed");
        assert_eq!(record["request"]["digest"], digest.to_string());
    }
}

#[test]
fn clock_set_back_is_a_note_at_its_record() {
    let mut records = unseal(&logs()[0]);
    let later = "2199-01-01T00:01:00.000Z";
    let (at, last) = (records.len() - 2, records.len() - 1);
    records[at]["time"] = later.into();
    for (now, noted) in [
        (later, false),
        ("2199-01-01T00:00:00.000Z", false),
        ("2198-12-31T23:59:59.999Z", true),
    ] {
        records[last]["time"] = now.into();
        let found = all_findings(&rechain(&records), None).1;
        let clock = |found: &&Finding| matches!(found.kind, FindingKind::Clock { .. });
        let place = found.iter().find(clock).and_then(|found| found.at);
        assert_eq!(place, noted.then_some(last as u64), "{found:?}");
    }
}

#[test]
fn finding_names_run_and_record() {
    let records = unseal(&logs()[0]);
    let run = records[last(&records, "run")]["run"]
        .as_str()
        .expect("text")
        .to_owned();
    let mut twice = records;
    twice.insert(last(&twice, "run"), twice[last(&twice, "run")].clone());
    let at = last(&twice, "run");
    let found = verify(&rechain(&twice), None).1;
    assert_eq!(
        found[0].to_string(),
        format!("record {at}: run {run} begins again, or another run has its id")
    );
}
