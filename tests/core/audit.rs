//! The audit log: it verifies after whatever a run or a crash does, and after
//! no change.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use loopback::samples;
use proptest::prelude::*;
use serde_json::Value;
use skopeo_index::audit::{
    Checkpoint, CheckpointError, Finding, Frontier, Hash, Keep, LINE_MAX, Line, Log, Op, Proof,
    Record, RecordError, Recorder, Severity, SkopeoIdentity, Verifier, What, leaf, prove,
    root_by_proof, statement,
};
use skopeo_index::cancel::Cancel;
use skopeo_index::digest::Digest;
use skopeo_index::machine::{Method, Network, Plan, State};
use skopeo_index::request::Request;
use skopeo_index::store::{RealDisk, Store};

use crate::stand_in::{MockSkopeo, PLAN, failed, fetch, honest, printed, request};

/// How a run ends.
enum End {
    Well,
    /// Without a word, as by a crash.
    Suddenly,
}

fn recorded(
    log: &Path,
    cache: &Path,
    skopeo: &MockSkopeo,
    plan: Plan,
    requests: &[Request],
    end: &End,
) {
    let (log, store) = (
        Log::open(log).expect("a log"),
        Store::new(cache.to_owned(), RealDisk),
    );
    let recorder = Recorder::begin(&log, cache, plan, None).expect("a log");
    let cancel = Cancel::new(None).expect("a pipe");
    fetch(&store, skopeo, plan, requests, (3, &cancel, &[&recorder])).expect("no halt");
    if let End::Well = end {
        recorder.end().expect("a log");
    }
}

/// A log of all that happens: successes, hits, failures, retries, both methods,
/// crashes.
fn make_log(dir: &Path) -> PathBuf {
    let (log, cache) = (dir.join("log"), dir.join("cache"));
    let documents: Vec<_> = (0..3)
        .map(samples::distinct)
        .chain([samples::single_image()])
        .collect();
    let requests: Vec<_> = documents
        .iter()
        .map(|document| request(Digest::of(document)))
        .collect();
    let copy = Plan {
        method: Method::Copy,
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &honest(documents.clone()),
        PLAN,
        &requests,
        &End::Well,
    );
    recorded(
        &log,
        &cache,
        &honest(documents.clone()),
        PLAN,
        &requests[..2],
        &End::Suddenly,
    );
    fs::write(cache.join(requests[0].digest().to_string()), "corrupt").expect("an object");
    recorded(
        &log,
        &cache,
        &honest(documents),
        copy,
        &requests[..1],
        &End::Well,
    );
    let mut flaky = MockSkopeo::new();
    flaky
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| failed("\u{e9}\u{1f600}\u{7f}: connection refused"));
    flaky
        .expect_run()
        .returning(|_, _, _, _| printed(samples::empty()));
    let twice = Plan {
        attempts: 2.try_into().expect("not zero"),
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &flaky,
        twice,
        &[request(Digest::of(&samples::empty()))],
        &End::Well,
    );
    let offline = Plan {
        network: Network::Offline,
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &MockSkopeo::new(),
        offline,
        &[request(Digest::of(b"missing"))],
        &End::Well,
    );
    log
}

/// Made once: what is in it, and another's.
fn logs() -> &'static [Vec<u8>; 2] {
    static LOGS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    LOGS.get_or_init(|| {
        [(), ()].map(|()| {
            let dir = tempfile::tempdir().expect("a directory");
            fs::read(make_log(dir.path())).expect("a log")
        })
    })
}

fn lines(log: &[u8]) -> Vec<Vec<u8>> {
    log.split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// All findings that are more than a note, and where the log stands.
fn verify(log: &[u8], checkpoint: Option<Checkpoint>) -> (Option<Checkpoint>, Vec<Finding>) {
    let mut verifier = Verifier::new(checkpoint, Keep::Nothing);
    let mut found = Vec::new();
    let mut rest = log;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        found.extend(verifier.line(&Line::read(&rest[..end])));
        rest = &rest[end + 1..];
    }
    let (verified, more) = verifier.finish(rest);
    found.extend(more);
    found.retain(|finding| finding.what.severity() > Severity::Note);
    (verified.checkpoint, found)
}

#[test]
fn a_log_of_all_that_happens_verifies_after_each_of_its_records() {
    let [log, _] = logs();
    let lines = lines(log);
    assert!(lines.len() > 40, "{}", lines.len());
    for n in 0..=lines.len() {
        let (_, found) = verify(&lines[..n].concat(), None);
        assert_eq!(found, [], "after {n} records");
    }
}

#[test]
fn a_crash_at_any_byte_is_recovered_from_and_recorded() {
    let [log, _] = logs();
    for cut in (1..log.len()).step_by(397) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        fs::write(&path, &log[..cut]).expect("a file");
        recorded(
            &path,
            &dir.path().join("cache"),
            &honest(vec![samples::empty()]),
            PLAN,
            &[request(Digest::of(&samples::empty()))],
            &End::Well,
        );
        let now = fs::read(&path).expect("a log");
        assert_eq!(verify(&now, None).1, [], "cut at {cut}");
        let whole = log[..cut]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        assert!(now.starts_with(&log[..whole]), "cut at {cut}");
        let kept = fs::read(dir.path().join("log.torn-1")).unwrap_or_default();
        assert_eq!(kept, &log[whole..cut], "cut at {cut}");
        let recovered = now.windows(13).any(|window| window == b"{\"recovered\":");
        assert_eq!(recovered, whole < cut, "cut at {cut}");
    }
}

/// One change of a log.
#[derive(Clone, Debug)]
enum Change {
    Bit(prop::sample::Index, u8),
    Byte(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Move(prop::sample::Index, prop::sample::Index),
    Foreign(prop::sample::Index),
    Respaced(prop::sample::Index),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        at().prop_map(Change::Remove),
        at().prop_map(Change::Double),
        (at(), at()).prop_map(|(a, b)| Change::Swap(a, b)),
        (at(), at()).prop_map(|(a, b)| Change::Move(a, b)),
        at().prop_map(Change::Foreign),
        at().prop_map(Change::Respaced),
        at().prop_map(Change::Cut),
    ]
}

/// The changed log, and the first record that isn't what it was.
fn changed(log: &[u8], other: &[u8], change: &Change) -> (Vec<u8>, usize) {
    let mut lines = lines(log);
    let count = lines.len();
    let record_at = |byte: usize| log[..byte].iter().filter(|byte| **byte == b'\n').count();
    let at = match change {
        Change::Bit(at, bit) => {
            let (mut log, at) = (log.to_vec(), at.index(log.len()));
            log[at] ^= 1 << bit;
            return (log, record_at(at));
        }
        Change::Byte(at, byte) => {
            let (mut log, at) = (log.to_vec(), at.index(log.len()));
            log[at] = *byte;
            return (log, record_at(at));
        }
        Change::Cut(at) => {
            let at = at.index(log.len());
            return (log[..at].to_vec(), record_at(at));
        }
        Change::Remove(at) => {
            let at = at.index(count);
            lines.remove(at);
            at
        }
        Change::Double(at) => {
            let at = at.index(count);
            lines.insert(at, lines[at].clone());
            at + 1
        }
        Change::Swap(a, b) => {
            lines.swap(a.index(count), b.index(count));
            a.index(count).min(b.index(count))
        }
        Change::Move(from, to) => {
            let line = lines.remove(from.index(count));
            lines.insert(to.index(count), line);
            from.index(count).min(to.index(count))
        }
        Change::Foreign(at) => {
            let at = at.index(count);
            let others = self::lines(other);
            lines[at] = others[at.min(others.len() - 1)].clone();
            at
        }
        Change::Respaced(at) => {
            let at = at.index(count);
            let text = String::from_utf8(lines[at].clone()).expect("ASCII");
            lines[at] = text.replacen("\":", "\": ", 1).into_bytes();
            at
        }
    };
    (lines.concat(), at)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..crate::regressions("proptest-regressions/audit.txt") })]

    #[test]
    fn no_change_goes_unnoticed(change in change()) {
        let [log, other] = logs();
        let (now, first) = changed(log, other, &change);
        prop_assume!(now != *log);
        let (checkpoint, _) = verify(log, None);
        let (_, found) = verify(&now, checkpoint);
        prop_assert!(!found.is_empty());
        // The record that was changed is named, or the first that is missing.
        let named = found.iter().filter_map(|finding| finding.at).min();
        let cut = found.iter().any(|finding| finding.what.severity() == Severity::Cut);
        prop_assert!(cut || named.is_some_and(|named| named <= first as u64 + 1), "{} {:?}", first, found);

        // Without a checkpoint, all but a cut at a record's end.
        let at_records_end = now.last().is_none_or(|byte| *byte == b'\n') && log.starts_with(&now);
        prop_assert_eq!(verify(&now, None).1.is_empty(), at_records_end);
    }

    #[test]
    fn every_record_of_a_tree_is_proved_and_no_other(size in 1_usize..70, at: prop::sample::Index, other: [u8; 32]) {
        let leaves: Vec<Hash> = (0..size).map(|n| leaf(n.to_string().as_bytes())).collect();
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        let at = at.index(size);
        let path = prove(&leaves, at);
        let (n, of) = (at as u64, size as u64);
        prop_assert_eq!(root_by_proof(leaves[at], n, of, &path), Some(frontier.root()));
        prop_assert_ne!(root_by_proof(other, n, of, &path), Some(frontier.root()));
        prop_assert_eq!(root_by_proof(leaves[at], of, of, &path), None);
        prop_assert!(prove(&leaves, size).is_empty());
        for wrong in (0..of).filter(|wrong| *wrong != n) {
            prop_assert_ne!(root_by_proof(leaves[at], wrong, of, &path), Some(frontier.root()));
        }
    }

    #[test]
    fn no_bytes_make_the_verifier_panic(bytes: Vec<u8>) {
        let _any = verify(&bytes, None);
    }
}

/// RFC 6962 has none; these are Certificate Transparency's own, for the leaves of
/// its reference tests.
#[test]
fn roots_are_those_of_certificate_transparency() {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let mut frontier = Frontier::default();
    let hex = |hash: Hash| Digest::from_bytes(hash).hex();
    assert_eq!(
        hex(frontier.root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    frontier.push(leaf(leaves[0]));
    assert_eq!(
        hex(frontier.root()),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
    leaves[1..]
        .iter()
        .for_each(|bytes| frontier.push(leaf(bytes)));
    assert_eq!(
        hex(frontier.root()),
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    );
}

#[test]
fn a_rewritten_log_is_told_by_its_checkpoint_only() {
    let [log, other] = logs();
    let (checkpoint, _) = verify(log, None);
    assert_eq!(verify(other, None).1, []);
    let found = verify(other, checkpoint).1;
    assert!(
        found
            .iter()
            .any(|finding| matches!(finding.what, What::OtherCheckpoint(_))),
        "{found:?}"
    );
}

#[test]
fn a_checkpoint_comes_back_as_it_was_and_ignores_signatures() {
    let (checkpoint, _) = verify(&logs()[0], None);
    let checkpoint = checkpoint.expect("records");
    let text = checkpoint.to_string();
    assert_eq!(text.lines().count(), 3);
    assert_eq!(text.parse(), Ok(checkpoint.clone()));
    assert_eq!(
        format!("{text}\n— name signature\n").parse(),
        Ok(checkpoint)
    );
    for wrong in [
        "",
        "a\n",
        "a\n1\n",
        "a\n01\nFITsVzEIo3QkJRcq7CVtqNQ5PBGyPZ5oxGggDJxLSY=\n",
        "a\n1\nx\n",
    ] {
        assert!(wrong.parse::<Checkpoint>().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_proof_holds_for_its_record_and_its_checkpoint_only() {
    let [log, other] = logs();
    let (checkpoint, other) = (
        verify(log, None).0.expect("records"),
        verify(other, None).0.expect("records"),
    );
    let texts: Vec<String> = lines(log)
        .iter()
        .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
        .collect();
    let leaves: Vec<Hash> = texts.iter().map(|line| leaf(line.as_bytes())).collect();
    for at in 0..leaves.len() {
        let of = |line: &str| {
            Proof::new(
                line.to_owned(),
                at as u64,
                leaves.len() as u64,
                prove(&leaves, at),
            )
        };
        assert!(of(&texts[at]).check(&checkpoint).is_ok());
        assert!(of(&texts[at]).check(&other).is_err());
        assert!(
            of(&texts[(at + 1) % leaves.len()])
                .check(&checkpoint)
                .is_err()
        );
    }
}

/// A record with a right trailer, whatever it says.
fn sealed(record: &Value) -> Vec<u8> {
    let mut units = [0; 2];
    let ascii = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => {
            let units = c.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    let mut record: String = record.to_string().chars().map(ascii).collect();
    record.pop();
    let sum = Digest::of(record.as_bytes()).hex();
    format!("{record},\"trailer\":\"{sum}\"}}").into_bytes()
}

/// What stands in a log's lines, without the trailers.
fn unsealed(log: &[u8]) -> Vec<Value> {
    let read = |line: &Vec<u8>| {
        let mut record: Value = serde_json::from_slice(line).expect("JSON");
        record.as_object_mut().expect("an object").remove("trailer");
        record
    };
    lines(log).iter().map(read).collect()
}

/// A log of these records as one would rewrite it who knows how: chained anew.
fn rewritten(records: &[Value]) -> Vec<u8> {
    let (mut log, mut prev) = (Vec::new(), [0; 32]);
    for (seq, record) in records.iter().enumerate() {
        let mut record = record.clone();
        record["seq"] = seq.into();
        record["prev"] = Digest::from_bytes(prev).hex().into();
        let line = sealed(&record);
        prev = leaf(&line);
        log.extend(line);
        log.push(b'\n');
    }
    log
}

/// What is found in a log that tells another story.
fn told(change: impl FnOnce(&mut Vec<Value>)) -> Vec<What> {
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

fn another_log() -> String {
    format!("skopeo-index/{}", "0".repeat(32))
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
    let run = |found: &[What]| matches!(found, [What::Run { .. }]);
    let all_run = |found: &[What]| {
        !found.is_empty() && found.iter().all(|what| matches!(what, What::Run { .. }))
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
    assert!(matches!(&found[..], [What::OtherLog(_)]), "{found:?}");
    let found = told(|records| records.push(records[0].clone()));
    assert!(matches!(&found[..], [What::Genesis]), "{found:?}");
    let found = told(|records| drop(records.remove(0)));
    assert!(matches!(&found[..], [What::Genesis]), "{found:?}");
    let found = told(|records| drop(records.remove(last_commit(records).0 - 1)));
    assert!(matches!(&found[..], [What::Replay { .. }, ..]), "{found:?}");
    let found = told(|records| {
        let (at, _) = last_commit(records);
        records[at]["op"]["transition"]["request"]["name"] = "other".into();
    });
    assert!(matches!(&found[..], [What::Replay { .. }, ..]), "{found:?}");
    let found = told(|records| {
        let (at, _) = last_commit(records);
        records[at]["op"]["transition"]["event"]["to"] = "failed".into();
    });
    assert!(matches!(&found[..], [What::Replay { .. }, ..]), "{found:?}");
}

#[test]
fn a_run_ends_with_the_fetches_that_it_has_records_of() {
    let run = |found: &[What]| matches!(found, [What::Run { .. }]);
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
fn a_checkpoint_holds_for_every_log_that_goes_on_from_it() {
    let [log, _] = logs();
    let lines = lines(log);
    let whole = verify(log, None).0.expect("records");
    let what = |log: &[u8], checkpoint: Checkpoint| {
        let found = verify(log, Some(checkpoint)).1;
        found
            .into_iter()
            .map(|finding| finding.what)
            .collect::<Vec<_>>()
    };
    for n in [1, lines.len() / 2, lines.len()] {
        let then = verify(&lines[..n].concat(), None).0.expect("records");
        assert_eq!(what(log, then.clone()), [], "{n}");
        let root = [7; 32];
        assert_eq!(
            what(log, Checkpoint { root, ..then }),
            [What::Rewritten(n as u64)]
        );
    }
    let none = Checkpoint {
        size: 0,
        ..whole.clone()
    };
    assert_eq!(what(log, none.clone()), []);
    assert_eq!(what(b"", none), []);
    let (expected, found) = (whole.size, whole.size - 1);
    let shorter = lines[..lines.len() - 1].concat();
    assert_eq!(what(&shorter, whole), [What::Shorter { expected, found }]);
}

#[test]
fn committed_objects_are_kept_where_they_are_asked_for() {
    let [log, _] = logs();
    let committed = |keep| {
        let mut verifier = Verifier::new(None, keep);
        for line in lines(log) {
            assert_eq!(verifier.line(&Line::read(line.trim_ascii_end())), []);
        }
        verifier.finish(b"").0.committed
    };
    let digest = |document: Vec<u8>| Digest::of(&document);
    let expected: BTreeSet<_> = (0..3)
        .map(samples::distinct)
        .chain([samples::empty()])
        .map(digest)
        .collect();
    assert_eq!(committed(Keep::Objects), expected);
    assert_eq!(committed(Keep::Nothing), BTreeSet::new());
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

#[test]
fn every_fetch_that_has_ended_makes_a_statement_and_nothing_else_does() {
    let skopeo = SkopeoIdentity {
        path: "/s".to_owned(),
        sha256: None,
        version: "skopeo version 1".to_owned(),
    };
    let (mut passed, mut failed) = (0, 0);
    for line in lines(&logs()[0]) {
        let line = line.trim_ascii_end();
        let record = Record::parse(line).expect("a record");
        let made = statement(&record, line, Some(&skopeo));
        let ended = match &record.op {
            Op::Transition { event, request, .. }
                if matches!(event.to, State::Committed | State::Failed) =>
            {
                Some((event, request))
            }
            _ => None,
        };
        let Some((event, request)) = ended else {
            assert_eq!(made, None, "{record:?}");
            continue;
        };
        let made = made.expect("a statement");
        let (predicate, subject) = (&made["predicate"], &made["subject"][0]);
        assert_eq!(subject["name"], request.name().without_tag());
        assert_eq!(subject["digest"]["sha256"], request.digest().hex());
        assert_eq!(predicate["resourceUri"], request.skopeo_source());
        assert_eq!(predicate["timeVerified"], record.time.as_str());
        assert_eq!(
            predicate["verifier"]["version"]["skopeo"],
            "skopeo version 1"
        );
        let from = &predicate["inputAttestations"][0];
        assert_eq!(
            from["uri"],
            format!("{}#{}", record.log.as_str(), record.seq)
        );
        assert_eq!(
            from["digest"]["sha256"],
            Digest::from_bytes(leaf(line)).hex()
        );
        let cause = event.cause.as_ref().map(ToString::to_string);
        assert_eq!(predicate["skopeo-index_cause"].as_str(), cause.as_deref());
        let result = if event.to == State::Committed {
            passed += 1;
            assert!(subject["annotations"]["size"].is_u64(), "{made}");
            "PASSED"
        } else {
            failed += 1;
            "FAILED"
        };
        assert_eq!(predicate["verificationResult"], result);
        let without = statement(&record, line, None).expect("a statement");
        assert!(
            without["predicate"]["verifier"]["version"]
                .get("skopeo")
                .is_none()
        );
    }
    assert!(passed > 3 && failed > 1, "{passed} {failed}");
}

#[test]
fn a_proof_says_why_it_does_not_hold() {
    let [log, _] = logs();
    let checkpoint = verify(log, None).0.expect("records");
    let lines: Vec<_> = lines(log)
        .iter()
        .map(|line| line.trim_ascii_end().to_vec())
        .collect();
    let leaves: Vec<Hash> = lines.iter().map(|line| leaf(line)).collect();
    let size = checkpoint.size;
    let proof = |line: &[u8], seq, size, path| {
        let line = String::from_utf8_lossy(line).into_owned();
        Proof::new(line, seq, size, path)
    };
    let (line, path) = (&lines[1], prove(&leaves, 1));
    let refused = |proof: Proof, checkpoint| proof.check(checkpoint).expect_err("it does not hold");
    let right = || proof(line, 1, size, path.clone());
    assert!(right().check(&checkpoint).is_ok());

    let shorter = Checkpoint {
        size: size - 1,
        ..checkpoint.clone()
    };
    assert_eq!(refused(right(), &shorter), CheckpointError::Other);
    let elsewhere = Checkpoint {
        origin: another_log().try_into().expect("a name"),
        ..checkpoint.clone()
    };
    assert_eq!(refused(right(), &elsewhere), CheckpointError::Other);
    let rewritten = Checkpoint {
        root: [0; 32],
        ..checkpoint.clone()
    };
    assert_eq!(refused(right(), &rewritten), CheckpointError::NotIncluded);
    let short = proof(line, 1, size, path[1..].to_vec());
    assert_eq!(refused(short, &checkpoint), CheckpointError::NotIncluded);
    let misplaced = proof(line, 2, size, path.clone());
    assert!(matches!(
        refused(misplaced, &checkpoint),
        CheckpointError::Record(_)
    ));
    let none = proof(b"{}", 1, size, path.clone());
    assert!(matches!(
        refused(none, &checkpoint),
        CheckpointError::Record(_)
    ));
}

#[test]
fn an_independent_computation_agrees_on_leaves_chain_root_and_proof() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = make_log(dir.path());
    let ours = env!("CARGO_BIN_EXE_skopeo-index");
    let print = |args: &[&str], to: &str| {
        let mut command = std::process::Command::new(ours);
        let ran = command.args(args).output().expect("the binary");
        assert!(ran.status.success(), "{ran:?}");
        let file = dir.path().join(to);
        fs::write(&file, ran.stdout).expect("a file");
        file.display().to_string()
    };
    let log = log.display().to_string();
    let checkpoint = print(&["audit", "checkpoint", &log], "checkpoint");
    for seq in ["0", "7", "40"] {
        let proof = print(&["audit", "prove", &log, "--seq", seq], "proof");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/audit.py");
        let said = loopback::run("python3", &[script, &log, &checkpoint, &proof]);
        assert_eq!(String::from_utf8_lossy(&said).trim(), "ok");
        let check = [
            "audit",
            "verify",
            "--proof",
            &proof,
            "--checkpoint",
            &checkpoint,
        ];
        print(&check, "checked");
    }
}

#[test]
fn a_log_that_cannot_be_continued_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    fs::write(&log, "not a record\n").expect("a file");
    let opened = Log::open(&log).expect("a file that can be opened");
    let error = Recorder::begin(&opened, dir.path(), PLAN, None).expect_err("no record to follow");
    assert!(error.to_string().contains("audit verify"), "{error}");
    assert_eq!(fs::read_to_string(&log).expect("a file"), "not a record\n");
}

/// A run that fetches nothing.
fn run(log: &Log) -> Result<(), String> {
    let begun = Recorder::begin(log, Path::new("/cache"), PLAN, None);
    begun
        .and_then(|recorder| recorder.end())
        .map_err(|error| error.to_string())
}

#[test]
fn a_checkpoint_while_it_is_written_is_that_of_its_reader() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let log = Log::open(&path).expect("a log");
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
    let log = Log::open(&path).expect("a log");
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
fn what_is_torn_may_be_as_long_as_a_line_and_is_kept_each_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let log = Log::open(&path).expect("a log");
    run(&log).expect("records");
    for (n, torn) in [(1, vec![b'x'; LINE_MAX]), (2, b"{".to_vec())] {
        let sound = fs::read(&path).expect("a log");
        fs::write(&path, [sound, torn.clone()].concat()).expect("a log");
        run(&log).expect("records");
        let kept = dir.path().join(format!("log.torn-{n}"));
        assert_eq!(fs::read(kept).expect("it"), torn);
    }
    assert_eq!(verify(&fs::read(&path).expect("a log"), None).1, []);
}

#[test]
fn what_is_torn_and_cannot_be_kept_or_is_no_line_stays_where_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let cases = [
        // No name for a second file beside it.
        ("x".repeat(254), b"{".to_vec(), "keep aside"),
        ("log".to_owned(), vec![b'x'; 2 * LINE_MAX + 1], "no end"),
    ];
    for (name, torn, why) in cases {
        let path = dir.path().join(name);
        fs::write(&path, &torn).expect("a log");
        let error = run(&Log::open(&path).expect("a file")).expect_err("no record to follow");
        assert!(error.contains(why), "{error}");
        assert_eq!(fs::read(&path).expect("a log"), torn);
    }
}
