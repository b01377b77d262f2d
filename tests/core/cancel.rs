//! Waits end at a word, at a deadline, or after their time.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use skopeo_index::os::{CancelToken, timespec};
use skopeo_index_core::machine::CancelReason;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_wait_ends_at_the_deadline() {
    let soon = Instant::now() + Duration::from_millis(20);
    let cancel = CancelToken::new(Some(soon)).expect("a pipe");
    assert_eq!(cancel.wait(HOUR), Some(CancelReason::Deadline));
    assert_eq!(cancel.stopped(), Some(CancelReason::Deadline));
    assert_eq!(cancel.time_left(HOUR), Duration::ZERO);
}

#[test]
fn a_wait_that_nobody_ends_ends_by_itself() {
    let cancel = CancelToken::new(None).expect("a pipe");
    assert_eq!(cancel.wait(Duration::from_millis(1)), None);
    assert_eq!(cancel.time_left(HOUR), HOUR);
}

#[test]
fn the_first_reason_to_stop_counts() {
    let cancel = CancelToken::new(None).expect("a pipe");
    assert_eq!(cancel.stopped(), None);
    cancel.stop(CancelReason::HungUp);
    cancel.stop(CancelReason::Interrupted);
    assert_eq!(cancel.wait(HOUR), Some(CancelReason::HungUp));
}

#[test]
fn a_far_deadline_leaves_all_the_time() {
    let cancel = CancelToken::new(Some(Instant::now() + 2 * HOUR)).expect("a pipe");
    assert_eq!(cancel.time_left(HOUR), HOUR);
    assert!(cancel.time_left(3 * HOUR) <= 2 * HOUR);
}

proptest! {
    #![proptest_config(crate::regressions("proptest-regressions/cancel.txt"))]

    #[test]
    fn a_poll_waits_as_long_as_it_should_and_less_than_a_millisecond_more(time in 0..HOUR.as_nanos()) {
        let time = Duration::from_nanos(u64::try_from(time).expect("an hour"));
        let polled = Duration::try_from(timespec(time)).expect("a time");
        prop_assert!(time <= polled && polled < time + Duration::from_millis(1));
    }
}
