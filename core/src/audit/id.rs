//! Ids of logs and runs, and timestamps.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::digest::hex;
use crate::escape::quote;

/// A log's id: `skopeo-index/` and 128 random bits in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct LogId(String);

/// A run's id: 64 random bits in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RunId(String);

/// A time in UTC: RFC 3339 with milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(String);

/// The years that a record may be of: from this program's first to long after its last.
pub const PLAUSIBLE_YEARS: std::ops::RangeInclusive<u16> = 2025..=2199;

/// A text that is not a valid id or timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {name}: {}", quote(text))]
pub struct InvalidId {
    name: &'static str,
    text: String,
}

const LOG_PREFIX: &str = "skopeo-index/";

impl LogId {
    /// Makes the id of a new log from random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("{LOG_PREFIX}{}", hex(&bytes)))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LogId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let digits = text.strip_prefix(LOG_PREFIX);
        validate(
            "log id",
            digits.is_some_and(|digits| is_hex(digits, 16)),
            text,
        )
        .map(Self)
    }
}

impl RunId {
    /// Makes the id of a new run from random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 8]) -> Self {
        Self(hex(&bytes))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RunId {
    /// The id as a number, which takes less memory.
    pub(super) fn to_number(&self) -> u64 {
        // Never fails: an id has 16 hexadecimal digits.
        u64::from_str_radix(&self.0, 16).unwrap_or_default()
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        validate("run id", is_hex(&text, 8), text).map(Self)
    }
}

impl Timestamp {
    /// The timestamp's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the year is one of [`PLAUSIBLE_YEARS`]. A clock that was never set is in 1970,
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

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
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

/// Whether the text is this number of bytes in lower-case hexadecimal.
fn is_hex(text: &str, bytes: usize) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 2 * bytes && text.bytes().all(is_digit)
}
