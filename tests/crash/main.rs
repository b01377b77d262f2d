//! The real binary, killed at every system call that changes the file system, and with an
//! error injected into each: strace does both.
//!
//! With one job there is one thread, so that strace sees every call; it does not follow the
//! fake skopeo. `SKOPEO_INDEX_PROOF=long` injects every error at every call, instead of a
//! sample.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod fixture;
mod sync_order;
mod trace;
mod waits;

use fixture::{Fixture, RunResult, Scenario};
use trace::mutating_calls;

const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EINTR", "EMFILE"];

/// The short form injects every fifth of all pairs of call and error.
const SAMPLE_EVERY: usize = 5;

fn is_long() -> bool {
    std::env::var_os("SKOPEO_INDEX_PROOF").is_some_and(|proof| proof == "long")
}

/// Injects a signal or an error at the nth call of a name.
#[track_caller]
fn inject(scenario: Scenario, call: &str, n: usize, injection: &str) {
    let fixture = Fixture::new(scenario);
    let context = format!("{scenario:?}, {call} {n}: {injection}");
    let result = fixture.run_traced(&["-e", &format!("inject={call}:{injection}:when={n}")]);
    fixture.assert_invariants(result, &context);
    if injection.starts_with("signal") {
        // The size of the copy is polled, so the number of calls varies between runs: the
        // nth call may not have happened.
        assert!(
            result == RunResult::Killed || fixture.traced_count(call) < n,
            "{context}: {result:?}"
        );
    } else {
        assert_ne!(result, RunResult::Killed, "{context}");
    }
    fixture.assert_next_run_succeeds(&context);
}

#[track_caller]
fn inject_at_every_call(scenario: Scenario) {
    let calls = mutating_calls(scenario);
    let (mut kills, mut errors, mut pair) = (0, 0, 0);
    for (call, positions) in &calls {
        for &n in positions {
            inject(scenario, call, n, "signal=KILL");
            kills += 1;
            for error in ERRORS {
                pair += 1;
                if is_long() || pair % SAMPLE_EVERY == 0 {
                    inject(scenario, call, n, &format!("error={error}"));
                    errors += 1;
                }
            }
        }
    }
    let names: Vec<_> = calls.keys().collect();
    println!("{scenario:?}: {kills} kills and {errors} errors at {names:?}");
    for expected in ["openat", "write", "fsync", "fdatasync", "flock"] {
        assert!(
            calls.contains_key(expected),
            "{scenario:?} makes no {expected}"
        );
    }
}

#[test]
fn fetch_by_raw_survives_kill_and_error_at_every_call() {
    inject_at_every_call(Scenario::FetchByRaw);
}

#[test]
fn fetch_by_the_client_survives_kill_and_error_at_every_call() {
    inject_at_every_call(Scenario::FetchByClient);
}

#[test]
fn fetch_by_copy_survives_kill_and_error_at_every_call() {
    inject_at_every_call(Scenario::FetchByCopy);
}

#[test]
fn osbuild_copy_survives_kill_and_error_at_every_call() {
    inject_at_every_call(Scenario::OsbuildCopy);
}

#[test]
fn hit_survives_kill_and_error_at_every_call() {
    inject_at_every_call(Scenario::Hit);
}

#[test]
fn quarantine_survives_kill_and_error_at_every_call() {
    inject_at_every_call(Scenario::Quarantine);
}

#[test]
fn recovery_of_torn_line_and_stale_staging_survives_kill_and_error_at_every_call() {
    inject_at_every_call(Scenario::Recovery);
}
