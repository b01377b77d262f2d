//! A wait ends when cancelled, at its deadline, or after its time.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use skopeo_index::os::{CancelToken, timespec};
use skopeo_index_core::machine::CancelReason;
use test_support::program::fakes::never_cancelled;
use test_support::property::config;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn sleep_past_the_deadline_is_cancelled() {
    let soon = Instant::now() + Duration::from_millis(20);
    let cancel = CancelToken::new(Some(soon)).expect("a pipe");
    assert_eq!(cancel.sleep(HOUR), Err(CancelReason::Deadline));
    assert_eq!(cancel.cancelled(), Some(CancelReason::Deadline));
    assert_eq!(cancel.time_left(HOUR), Duration::ZERO);
}

#[test]
fn sleep_not_cancelled_ends_after_its_time() {
    let cancel = never_cancelled();
    assert_eq!(cancel.sleep(Duration::from_millis(1)), Ok(()));
    assert_eq!(cancel.time_left(HOUR), HOUR);
}

#[test]
fn cancel_twice_keeps_the_first_reason() {
    let cancel = never_cancelled();
    assert_eq!(cancel.cancelled(), None);
    cancel.cancel(CancelReason::HungUp);
    cancel.cancel(CancelReason::Interrupted);
    assert_eq!(cancel.sleep(HOUR), Err(CancelReason::HungUp));
}

#[test]
fn time_left_is_bounded_by_a_far_deadline_only() {
    let cancel = CancelToken::new(Some(Instant::now() + 2 * HOUR)).expect("a pipe");
    assert_eq!(cancel.time_left(HOUR), HOUR);
    assert!(cancel.time_left(3 * HOUR) <= 2 * HOUR);
}

proptest! {
    #![proptest_config(config(256, "cancel.txt"))]

    #[test]
    fn timespec_any_duration_is_rounded_up_by_less_than_a_millisecond(
        nanoseconds in 0..HOUR.as_nanos(),
    ) {
        let time = Duration::from_nanos(u64::try_from(nanoseconds).expect("an hour"));
        let polled = Duration::try_from(timespec(time)).expect("a time");
        prop_assert!(time <= polled && polled < time + Duration::from_millis(1));
    }
}
