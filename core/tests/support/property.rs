//! Property tests: their configuration, and strategies that several crates share.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

use super::audit_log::{Change, Position, lines, tamper, verify};
use skopeo_index_core::audit::{Finding, Record, Severity};

/// So many cases, with counterexamples kept in the repository's `proptest-regressions/FILE`;
/// the published crate has no such directory.
pub fn config(cases: u32, file: &str) -> ProptestConfig {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut dirs = above.map(|dir| dir.join("proptest-regressions"));
    let kept = dirs
        .find(|dir| dir.is_dir())
        .map(|dir| -> Box<dyn FailurePersistence> {
            let path = dir.join(file).display().to_string().leak();
            Box::new(FileFailurePersistence::Direct(path))
        });
    ProptestConfig {
        cases,
        failure_persistence: kept,
        ..ProptestConfig::default()
    }
}

/// Any single change to a log.
pub fn log_change() -> impl Strategy<Value = Change> {
    let at = || {
        // An index into `usize::MAX` elements is the fraction itself.
        any::<prop::sample::Index>().prop_map(|at| Position(at.index(usize::MAX) as u64))
    };
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::FlipBit(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::SetByte(at, byte)),
        at().prop_map(Change::RemoveLine),
        at().prop_map(Change::DuplicateLine),
        (at(), at()).prop_map(|(a, b)| Change::SwapLines(a, b)),
        (at(), at()).prop_map(|(a, b)| Change::MoveLine(a, b)),
        at().prop_map(Change::ForeignLine),
        at().prop_map(Change::AddSpace),
        at().prop_map(Change::Truncate),
    ]
}

/// Verification finds the change, at its record, whatever it is.
pub fn assert_change_is_found(
    log: &[u8],
    other: &[u8],
    change: &Change,
) -> Result<(), TestCaseError> {
    let (changed, first) = tamper(log, other, change);
    prop_assume!(changed != log);
    let (checkpoint, _) = verify(log, None);
    let (_, findings) = verify(&changed, checkpoint);
    prop_assert!(!findings.is_empty());
    // A finding is at the changed record or, where records are missing, at the next. Torn
    // lines have no link to the line before: the record that names them has.
    let is_torn = |line: &Vec<u8>| Record::parse(line.strip_suffix(b"\n").unwrap_or(line)).is_err();
    let torn = lines(&changed).into_iter().skip(first);
    let torn = torn.take_while(is_torn).count();
    let earliest = findings.iter().filter_map(|finding| finding.at).min();
    let at_change = earliest.is_some_and(|earliest| earliest <= (first + torn.max(1)) as u64);
    let truncated = |found: &Finding| found.kind.severity() == Severity::Truncated;
    prop_assert!(
        at_change || findings.iter().any(truncated),
        "{} {:?}",
        first,
        findings
    );

    // Without a checkpoint, everything but a truncation behind a record is found.
    let ends_in_record = lines(&changed).last().is_none_or(|line| !is_torn(line));
    let whole_records = changed.ends_with(b"\n") && log.starts_with(&changed) && ends_in_record;
    prop_assert_eq!(verify(&changed, None).1.is_empty(), whole_records);
    Ok(())
}
