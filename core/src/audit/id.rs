//! Ids of logs and runs, and timestamps.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::names::parse_number;
use crate::digest::{hex, is_hex};
use crate::escape::quote;

/// A log's id, the origin of its checkpoints: a URL without scheme, `HOST[:PORT][/PATH]` in
/// the characters that need no encoding, or `skopeo-index/` and 128 random bits in
/// hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct LogId(String);

/// A run's id: 64 random bits, shown in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(u64);

/// A time in UTC: RFC 3339 with milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(String);

/// The years that a record may be of: from this program's first to long after its last.
const PLAUSIBLE_YEARS: std::ops::RangeInclusive<u16> = 2025..=2199;

/// The end of those years, since 1970.
const PLAUSIBLE_END: Duration = Duration::from_secs(7_258_118_400);

/// A text that is not a valid id or timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {name}: {}", quote(text))]
pub struct InvalidId {
    name: &'static str,
    text: String,
}

const LOG_PREFIX: &str = "skopeo-index/";

/// Between the origin of a chain's first log and the number of a later one, from 2.
const ROTATION: &str = "/rotation-";

/// Limit of an origin in bytes: room for any host name (253), or a shorter one and a path.
pub const MAX_ORIGIN_LEN: usize = 255;

/// Limit of the origin that a new log begins with, in bytes: every rotation's number fits
/// behind it.
pub const MAX_NEW_ORIGIN_LEN: usize =
    MAX_ORIGIN_LEN - ROTATION.len() - u64::MAX.ilog10() as usize - 1;

impl LogId {
    /// Makes the id of a new log from random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("{LOG_PREFIX}{}", hex(&bytes)))
    }

    /// The id of the log that continues this one: ORIGIN/rotation-2 after ORIGIN, and so on,
    /// because two logs must not have one origin. A log with a random id is continued by one
    /// with another, from `random`.
    ///
    /// # Errors
    /// Where it would be longer than [`MAX_ORIGIN_LEN`].
    pub fn next(&self, random: [u8; 16]) -> Result<Self, InvalidId> {
        if self.is_random() {
            return Ok(Self::from_random(random));
        }
        let (origin, number) = self.split_rotation();
        Self::try_from(format!("{origin}{ROTATION}{}", number.saturating_add(1)))
    }

    /// Whether a rotation of this log can have made the id of the log that continues it.
    #[must_use]
    pub fn is_continued_by(&self, next: &Self) -> bool {
        match self.is_random() {
            true => next.is_random() && next != self,
            false => self.next([0; 16]).as_ref() == Ok(next),
        }
    }

    /// Whether the id is a random one, which no operator chose.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.0.starts_with(LOG_PREFIX)
    }

    /// Whether the log has this origin, or continues a log that began with it.
    #[must_use]
    pub fn is_of_origin(&self, origin: &Self) -> bool {
        self == origin || self.split_rotation().0 == origin.0
    }

    /// Whether no rotation made this id.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.number() == 1
    }

    /// The number of the log in its chain, from 1; 1 for a random id.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.split_rotation().1
    }

    /// The origin of the chain's first log, and this log's number in the chain.
    fn split_rotation(&self) -> (&str, u64) {
        let rotation = self.0.rsplit_once(ROTATION).and_then(|(origin, number)| {
            let number = parse_number(number).filter(|number| *number > 1);
            Some((origin, number?))
        });
        rotation.unwrap_or((&self.0, 1))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of the origin that the first log of a chain began with; `None` for a random
    /// id.
    #[must_use]
    pub fn origin_url(&self) -> Option<String> {
        let (origin, _) = self.split_rotation();
        (!self.is_random()).then(|| format!("https://{origin}"))
    }
}

impl TryFrom<String> for LogId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let is_valid = match text.strip_prefix(LOG_PREFIX) {
            Some(digits) => is_hex(digits, 32),
            None => is_url_without_scheme(&text),
        };
        let name = "origin, expected one like example.com/builds";
        validate(name, is_valid, text).map(Self)
    }
}

impl RunId {
    /// Makes the id of a new run from random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let id = u64::from_str_radix(&text, 16).map(Self);
        let id = id.ok().filter(|id| id.to_string() == text);
        let name = "run id";
        id.ok_or(InvalidId { name, text })
    }
}

impl Timestamp {
    /// The timestamp's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the year is one that a record may be of, 2025 to 2199. A clock that was never set is in 1970,
    /// 1980 or 2000.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        let year = self.0.get(..4).and_then(|year| year.parse().ok());
        year.is_some_and(|year| PLAUSIBLE_YEARS.contains(&year))
    }

    /// The time since `earlier`; `None` unless that is earlier.
    #[must_use]
    pub fn duration_since(&self, earlier: &Self) -> Option<Duration> {
        // Fast path: texts of one length and time zone sort by time.
        if self.0 <= earlier.0 {
            return None;
        }
        let parse = |time: &Self| humantime::parse_rfc3339(&time.0).ok();
        parse(self)?.duration_since(parse(earlier)?).ok()
    }
}

/// How long after 1970 the last time is that has a year of four digits.
const LAST: Duration = Duration::from_millis(253_402_300_799_999);

impl Timestamp {
    /// The time after a duration; `None` beyond the years that a record may be of.
    pub(super) fn after(&self, duration: Duration) -> Option<Self> {
        let begin = humantime::parse_rfc3339(&self.0).ok()?;
        let end = begin.checked_add(duration)?;
        let since_1970 = end.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        (since_1970 < PLAUSIBLE_END).then(|| end.into())
    }
}

/// A time before 1970 or after 9999 becomes the first or the last one that a record can have.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let time = time.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST);
        Self(humantime::format_rfc3339_millis(time).to_string())
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let is_valid = text.len() == "2026-01-01T00:00:00.000Z".len()
            && humantime::parse_rfc3339(&text).is_ok();
        validate("UTC timestamp with milliseconds", is_valid, text).map(Self)
    }
}

fn validate(name: &'static str, is_valid: bool, text: String) -> Result<String, InvalidId> {
    if is_valid {
        Ok(text)
    } else {
        Err(InvalidId { name, text })
    }
}

/// Whether the text is `HOST[:PORT][/PATH]`, with a dot in the host name and without `.` and
/// `..` in the path.
fn is_url_without_scheme(text: &str) -> bool {
    let split = |text, separator| match str::split_once(text, separator) {
        Some((start, end)) => (start, Some(end)),
        None => (text, None),
    };
    let (authority, path) = split(text, '/');
    let (host, port) = split(authority, ':');
    let is_label = |label: &str| {
        let is_inner = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte != b'-');
        let (first, last) = (label.bytes().next(), label.bytes().last());
        label.bytes().all(is_inner) && is_edge(first) && is_edge(last)
    };
    // RFC 3986, section 2.3: unreserved characters.
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_unreserved);
    text.len() <= MAX_ORIGIN_LEN
        && host.contains('.')
        && host.split('.').all(is_label)
        && port.is_none_or(|port| parse_number::<u16>(port).is_some())
        && path.is_none_or(|path| path.split('/').all(is_segment))
}
