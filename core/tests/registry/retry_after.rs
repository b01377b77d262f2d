//! The header `Retry-After`.

use std::time::{Duration, SystemTime};

use crate::support::property::config;
use proptest::prelude::*;
use skopeo_index_core::registry::{MAX_RETRY_AFTER, retry_after};

/// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
const EXAMPLE: Duration = Duration::from_secs(784_111_777);

fn example() -> SystemTime {
    SystemTime::UNIX_EPOCH + EXAMPLE
}

#[test]
fn retry_after_date_is_relative_to_now() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let before = example() - Duration::from_secs(90);
    assert_eq!(retry_after(date, before), Some(Duration::from_secs(90)));
    let after = example() + Duration::from_secs(1);
    assert_eq!(retry_after(date, after), Some(Duration::ZERO));
}

#[test]
fn retry_after_that_is_neither_is_none() {
    let texts = [
        "",
        "-1",
        "+1",
        "1.5",
        "soon",
        "1 s",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 ovD 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
    ];
    for text in texts {
        assert_eq!(retry_after(text, example()), None, "{text}");
    }
}

proptest! {
    #![proptest_config(config(500, "registry.txt"))]

    #[test]
    fn retry_after_seconds_are_bounded(seconds in any::<u128>(), small in 0..200_000_u64) {
        let expected = |seconds| Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        prop_assert_eq!(retry_after(&format!(" {small} "), example()), expected(small));
        let seconds = seconds.saturating_add(u128::from(u64::MAX));
        prop_assert_eq!(retry_after(&seconds.to_string(), example()), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn retry_after_reads_every_date(at in 0..4_000_000_000_u64, delay in 0..86_400_u64) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        let date = http_date(now + Duration::from_secs(delay));
        prop_assert_eq!(retry_after(&date, now), Some(Duration::from_secs(delay)), "{}", date);
    }
}

/// An HTTP-date, by counting days (the weekday is not read).
fn http_date(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let (mut day, second) = (seconds / 86_400, seconds % 86_400);
    let divides = |year: u64, by| year.is_multiple_of(by);
    let is_leap = |year| divides(year, 4) && (!divides(year, 100) || divides(year, 400));
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let months = [
        ("Jan", 31),
        ("Feb", february),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let mut name = "";
    for (month, days) in months {
        name = month;
        if day < days {
            break;
        }
        day -= days;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "Mon, {:02} {name} {year} {hour:02}:{minute:02}:{second:02} GMT",
        day + 1
    )
}
