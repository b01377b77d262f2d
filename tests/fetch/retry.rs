//! Attempts and the backoff between them.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use skopeo_index::command::RunError;
use skopeo_index::fetch::backoff;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Cause, FailureKind, FetchPolicy};
use test_support::loopback::samples;
use test_support::program::fakes::{
    MockSkopeo, POLICY, empty_cache, failed, fetch, printed, request,
};
use test_support::property::config;

use crate::{cause, failure_kind};

pub(crate) const THREE_ATTEMPTS: FetchPolicy = match NonZeroU32::new(3) {
    Some(attempts) => FetchPolicy { attempts, ..POLICY },
    None => POLICY,
};

#[test]
fn retry_transient_failure_is_retried_as_often_as_the_policy_says() {
    let (_dir, store) = empty_cache();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(3)
        .returning(|_, _, _, _| failed("connection refused"));
    let requests = [request(Digest::of(b""))];
    let reports = fetch(&store, &skopeo, THREE_ATTEMPTS, &requests);
    let cause = cause(&reports[0]);
    assert!(
        matches!(cause, Cause::RetriesExhausted { attempts: 3, .. }),
        "{cause}"
    );
}

#[test]
fn retry_permanent_failure_is_not_retried() {
    let (_dir, store) = empty_cache();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| failed("manifest unknown"));
    let requests = [request(Digest::of(b""))];
    let reports = fetch(&store, &skopeo, THREE_ATTEMPTS, &requests);
    assert_eq!(failure_kind(cause(&reports[0])), FailureKind::NotFound);
}

#[test]
fn retry_after_timeout_succeeds_in_the_second_attempt() {
    let (_dir, store) = empty_cache();
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().times(1).returning(|_, _, _, _| {
        Err(RunError::TimedOut {
            after: Duration::ZERO,
            stderr: Vec::new(),
        })
    });
    skopeo
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| printed(samples::empty()));
    let requests = [request(Digest::of(&samples::empty()))];
    let reports = fetch(&store, &skopeo, THREE_ATTEMPTS, &requests);
    let committed = reports[0].result.as_ref().expect("success");
    assert_eq!(committed.attempts(), 2);
}

proptest! {
    #![proptest_config(config(256, "backoff.txt"))]

    #[test]
    fn backoff_doubles_up_to_a_minute_and_is_at_least_half_of_that(
        first in 0..100_000_u64,
        attempt in 1..200_u32,
    ) {
        let delay = backoff(Duration::from_millis(first), attempt).as_millis();
        let doubled = u128::from(first).saturating_mul(1 << (attempt - 1).min(40));
        let whole = doubled.min(60_000);
        prop_assert!((whole / 2..=whole).contains(&delay), "{} of {}", delay, whole);
    }
}
