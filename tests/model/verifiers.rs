//! Verifiers, which may approve, refuse, or give no verdict.

use crate::bounds::{Bounds, Registry};
use crate::properties::EVIDENCE;
use crate::seeded_bug::SeededBug;
use crate::{MISS_HIT_CORRUPT, ONE, assert_detected, assert_holds, is_long};

#[test]
fn fetch_with_verifiers_crash_and_power_failure_keeps_invariants() {
    let bounds = Bounds {
        verifiers: 2,
        registry: Registry::Arbitrary,
        initial_disks: MISS_HIT_CORRUPT.into(),
        faults: u8::from(is_long()),
        crashes: 1,
        power_failures: 1,
        ..Bounds::of(&[ONE])
    };
    assert_holds("one process, two verifiers", bounds);
    let bounds = Bounds {
        verifiers: 1,
        initial_disks: MISS_HIT_CORRUPT.into(),
        crashes: 1,
        restarts: 1,
        context_switches: Some(if is_long() { 3 } else { 1 }),
        ..Bounds::of(&[ONE, ONE])
    };
    assert_holds("two processes, one verifier", bounds);
}

#[test]
fn checker_detects_publishing_before_the_record_of_authenticated() {
    let bounds = Bounds {
        verifiers: 1,
        power_failures: 1,
        ..Bounds::of(&[ONE])
    };
    for bug in [SeededBug::RecordedAfterPublishing, SeededBug::NeverRecorded] {
        assert_detected(bug, &[EVIDENCE], bounds.clone());
    }
}
