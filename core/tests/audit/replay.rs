//! What a log tells can be, however well it is chained.

use std::collections::BTreeSet;

use test_support::loopback::samples;
use serde_json::Value;
use skopeo_index_core::audit::{
    Finding, FindingKind, KeepObjects, MAX_RECORD_LEN, ParsedLine, Record, RecordError, Verifier,
};
use skopeo_index_core::digest::Digest;

use super::{all_findings, another_log, lines, logs, rewritten, sealed, unsealed, verify};

/// What is found in a log that tells another story.
fn told(change: impl FnOnce(&mut Vec<Value>)) -> Vec<FindingKind> {
    let mut records = unsealed(&logs()[0]);
    change(&mut records);
    let found = verify(&rewritten(&records), None).1;
    found.into_iter().map(|finding| finding.what).collect()
}

/// The place of the last record of a sort.
fn last(records: &[Value], op: &str) -> usize {
    records
        .iter()
        .rposition(|record| record["op"].get(op).is_some())
        .expect("one")
}

/// The place of the last commit, and of the end of its run.
fn last_commit(records: &[Value]) -> (usize, usize) {
    let to = |record: &Value| record["op"]["transition"]["event"]["to"] == "committed";
    let at = records.iter().rposition(to).expect("one");
    let end =
        |record: &Value| record["op"].get("end").is_some() && record["run"] == records[at]["run"];
    (at, records.iter().position(end).expect("an end"))
}

fn count(record: &mut Value, key: &str, by: i64) {
    let number = &mut record["op"]["end"][key];
    *number = (number.as_i64().expect("a number") + by).into();
}

/// Every object of a record, by its path.
fn objects(path: &str, value: &Value, found: &mut Vec<String>) {
    let Value::Object(members) = value else {
        return;
    };
    found.push(path.to_owned());
    for (key, value) in members {
        objects(&format!("{path}/{key}"), value, found);
    }
}

#[test]
fn a_record_has_one_form_and_nothing_in_it_is_overlooked() {
    for record in logs().iter().flat_map(|log| unsealed(log)) {
        assert!(Record::parse(&sealed(&record)).is_ok(), "{record}");
        let mut paths = Vec::new();
        objects("", &record, &mut paths);
        let changed = |path: &str, change: &dyn Fn(&mut Value)| {
            let mut record = record.clone();
            change(record.pointer_mut(path).expect("the object"));
            (Record::parse(&sealed(&record)), record)
        };
        for path in paths {
            let mut others = vec![
                changed(&path, &|object| object["overlooked"] = 1.into()),
                changed(&path, &|object| object["command"] = Value::Null),
            ];
            if !path.is_empty() {
                let members = |object: &mut Value| {
                    let members = object.as_object().expect("an object").values().cloned();
                    *object = members.collect();
                };
                others.push(changed(&path, &members));
            }
            for (parsed, other) in others {
                assert!(parsed.is_err(), "{other}");
            }
        }
        for (path, text) in [
            ("/log", "skopeo-index/1"),
            ("/run", "1"),
            ("/time", "2026-11-24T00:00:00Z"),
        ] {
            let (parsed, _) = changed(path, &|name| *name = text.into());
            assert!(matches!(parsed, Err(RecordError::Json(_))), "{path}");
        }
    }
}

#[test]
fn a_story_that_cannot_be_is_found_however_well_it_is_chained() {
    assert_eq!(told(|_| {}), [], "chained anew and unchanged");
    let run = |found: &[FindingKind]| matches!(found, [FindingKind::Run { .. }]);
    let all_run = |found: &[FindingKind]| {
        !found.is_empty()
            && found
                .iter()
                .all(|what| matches!(what, FindingKind::Run { .. }))
    };

    let found = told(|records| drop(records.remove(last(records, "run"))));
    assert!(all_run(&found) && found.len() > 1, "not begun: {found:?}");
    let found =
        told(|records| records.insert(last(records, "run"), records[last(records, "run")].clone()));
    assert!(run(&found), "begun twice: {found:?}");
    let found = told(|records| records.push(records[last(records, "end")].clone()));
    assert!(run(&found), "ended twice: {found:?}");
    let found = told(|records| {
        let at = last(records, "run");
        records[at]["log"] = another_log().into();
    });
    assert!(
        matches!(&found[..], [FindingKind::OtherLog(_)]),
        "{found:?}"
    );
    let found = told(|records| records.push(records[0].clone()));
    assert!(matches!(&found[..], [FindingKind::Genesis]), "{found:?}");
    let found = told(|records| drop(records.remove(0)));
    assert!(matches!(&found[..], [FindingKind::Genesis]), "{found:?}");
    let found = told(|records| drop(records.remove(last_commit(records).0 - 1)));
    assert!(
        matches!(&found[..], [FindingKind::Replay { .. }, ..]),
        "{found:?}"
    );
    let found = told(|records| {
        let (at, _) = last_commit(records);
        records[at]["op"]["transition"]["request"]["name"] = "other".into();
    });
    assert!(
        matches!(&found[..], [FindingKind::Replay { .. }, ..]),
        "{found:?}"
    );
    let found = told(|records| {
        let (at, _) = last_commit(records);
        records[at]["op"]["transition"]["event"]["to"] = "failed".into();
    });
    assert!(
        matches!(&found[..], [FindingKind::Replay { .. }, ..]),
        "{found:?}"
    );
}

#[test]
fn a_run_ends_with_the_fetches_that_it_has_records_of() {
    let run = |found: &[FindingKind]| matches!(found, [FindingKind::Run { .. }]);
    for (key, by) in [("committed", 1), ("committed", -1), ("failed", 1)] {
        let found = told(|records| {
            let (_, end) = last_commit(records);
            count(&mut records[end], key, by);
        });
        assert!(run(&found), "{key} {by}: {found:?}");
    }
    let found = told(|records| {
        let (at, end) = last_commit(records);
        count(&mut records[end], "committed", -1);
        records.remove(at);
    });
    assert!(run(&found), "one was left open: {found:?}");
    let found = told(|records| {
        let (at, end) = last_commit(records);
        count(&mut records[end], "unrecorded", 1);
        records.remove(at);
    });
    assert!(run(&found), "a success without a record: {found:?}");
    let found = told(|records| {
        let (at, end) = last_commit(records);
        for (key, by) in [("committed", -1), ("failed", 1), ("unrecorded", 1)] {
            count(&mut records[end], key, by);
        }
        records.remove(at);
    });
    assert_eq!(found, [], "one failed for want of a record, and said so");
}

#[test]
fn committed_objects_are_kept_for_each_cache_where_they_are_asked_for() {
    let mut records = unsealed(&logs()[0]);
    let place = last(&records, "run");
    records[place]["op"]["run"]["cache"] = "/other".into();
    let log = rewritten(&records);
    let committed = |keep| {
        let mut verifier = Verifier::new(None, keep);
        for line in lines(&log) {
            assert_eq!(verifier.line(&ParsedLine::read(line.trim_ascii_end())), []);
        }
        verifier.finish(b"").0.committed
    };
    assert!(committed(KeepObjects::Nothing).is_empty());
    let mut kept = committed(KeepObjects::Objects);
    let nothing = kept.remove("/other").expect("the cache of the last run");
    assert!(nothing.is_empty(), "it committed nothing");
    let (_, objects) = kept.pop_first().expect("another cache");
    assert!(kept.is_empty());
    let digest = |document: Vec<u8>| Digest::of(&document);
    let expected: BTreeSet<_> = (0..3)
        .map(samples::distinct)
        .chain([samples::empty()])
        .map(digest)
        .collect();
    assert!(objects.keys().eq(&expected), "{objects:?}");
    for (digest, at) in objects {
        let record = &records[usize::try_from(at).expect("a place")]["op"]["transition"];
        assert_eq!(record["event"]["to"], "committed");
        assert_eq!(record["request"]["digest"], digest.to_string());
    }
}

#[test]
fn a_clock_that_was_set_back_is_noted_where_it_was() {
    let mut records = unsealed(&logs()[0]);
    let later = "2999-01-01T00:01:00.000Z";
    let (at, last) = (records.len() - 2, records.len() - 1);
    records[at]["time"] = later.into();
    for (now, noted) in [
        (later, false),
        ("2999-01-01T00:00:00.000Z", false),
        ("2998-12-31T23:59:59.999Z", true),
    ] {
        records[last]["time"] = now.into();
        let found = all_findings(&rewritten(&records), None).1;
        let clock = |found: &&Finding| matches!(found.what, FindingKind::Clock { .. });
        let place = found.iter().find(clock).and_then(|found| found.at);
        assert_eq!(place, noted.then_some(last as u64), "{found:?}");
    }
}

#[test]
fn a_finding_names_the_run_and_the_record() {
    let records = unsealed(&logs()[0]);
    let run = records[last(&records, "run")]["run"]
        .as_str()
        .expect("text")
        .to_owned();
    let mut twice = records;
    twice.insert(last(&twice, "run"), twice[last(&twice, "run")].clone());
    let at = last(&twice, "run");
    let found = verify(&rewritten(&twice), None).1;
    assert_eq!(
        found[0].to_string(),
        format!("record {at}: run {run} begins twice")
    );
}

#[test]
fn a_line_as_long_as_any_may_be_is_looked_at_and_a_longer_one_is_not() {
    let parsed = |length| Record::parse(&vec![b'x'; length]);
    assert_eq!(parsed(MAX_RECORD_LEN), Err(RecordError::Trailer));
    assert_eq!(parsed(MAX_RECORD_LEN + 1), Err(RecordError::TooLong));
}

#[test]
fn a_record_says_what_is_known_here_and_no_more() {
    let mut ops = BTreeSet::new();
    for record in unsealed(&logs()[0]) {
        let op = record["op"].as_object().expect("an object");
        let op = op.keys().next().expect("one").clone();
        assert!(Record::parse(&sealed(&record)).is_ok(), "{record}");
        for place in ["", "/op", &format!("/op/{op}")] {
            let mut more = record.clone();
            more.pointer_mut(place).expect("an object")["more"] = 0.into();
            assert!(
                matches!(Record::parse(&sealed(&more)), Err(RecordError::Json(_))),
                "{more}"
            );
        }
        ops.insert(op);
        let mut newer = record;
        newer["schema"] = 2.into();
        assert_eq!(Record::parse(&sealed(&newer)), Err(RecordError::Schema(2)));
    }
    assert_eq!(Vec::from_iter(ops), ["end", "genesis", "run", "transition"]);
}
