//! Every single change of a log is found.

use std::fs;

use test_support::loopback::samples;
use proptest::prelude::*;
use skopeo_index_core::audit::{Finding, FindingKind, Severity};
use skopeo_index_core::digest::Digest;

use super::{End, lines, logs, recorded, verify};
use crate::stand_in::PLAN;
use crate::stand_in::honest;
use crate::stand_in::request;

#[test]
fn a_log_of_all_that_happens_verifies_after_each_of_its_records() {
    let [log, _] = logs();
    let lines = lines(log);
    assert!(lines.len() > 40, "{}", lines.len());
    for n in 1..=lines.len() {
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
pub(super) enum Change {
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

pub(super) fn change() -> impl Strategy<Value = Change> {
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
            let others = super::lines(other);
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

/// A changed log is told from the one it was, and where.
pub(super) fn noticed(log: &[u8], other: &[u8], change: &Change) -> Result<(), TestCaseError> {
    let (now, first) = changed(log, other, change);
    prop_assume!(now != log);
    let (checkpoint, _) = verify(log, None);
    let (_, found) = verify(&now, checkpoint);
    prop_assert!(!found.is_empty());
    // The record that was changed is named, or the first that is missing.
    let named = found.iter().filter_map(|finding| finding.at).min();
    let cut = |found: &Finding| found.what.severity() == Severity::Truncated;
    let named = named.is_some_and(|named| named <= first as u64 + 1);
    prop_assert!(named || found.iter().any(cut), "{} {:?}", first, found);

    // Without a checkpoint, all but a cut at a record's end.
    let at_records_end = now.ends_with(b"\n") && log.starts_with(&now);
    prop_assert_eq!(verify(&now, None).1.is_empty(), at_records_end);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..crate::regressions("proptest-regressions/audit.txt") })]

    #[test]
    fn no_change_goes_unnoticed(change in change()) {
        let [log, other] = logs();
        noticed(log, other, &change)?;
    }

    #[test]
    fn no_bytes_make_the_verifier_panic(bytes: Vec<u8>) {
        let _any = verify(&bytes, None);
    }
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
            .any(|finding| matches!(finding.what, FindingKind::OtherCheckpoint(_))),
        "{found:?}"
    );
}
