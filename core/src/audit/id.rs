//! Names of logs and runs, and times.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::digest::hex;
use crate::escape::quote;

/// A log's name: 128 random bits, shown as `skopeo-index/<32 hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct LogId(String);

/// A run's name: 64 random bits in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RunId(String);

/// A time: UTC, RFC 3339 with milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(String);

/// A text that is no name of a log or a run, or no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not {what}", quote(found))]
pub struct InvalidId {
    found: String,
    what: &'static str,
}

const LOG_PREFIX: &str = "skopeo-index/";

impl LogId {
    /// Makes the name of a new log of random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("{LOG_PREFIX}{}", hex(&bytes)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LogId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let good = text
            .strip_prefix(LOG_PREFIX)
            .is_some_and(|hex| is_hex(hex, 16));
        checked(good, text, "the name of a log").map(Self)
    }
}

impl RunId {
    /// Makes the name of a new run of random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 8]) -> Self {
        Self(hex(&bytes))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        checked(is_hex(&text, 8), text, "the name of a run").map(Self)
    }
}

impl Timestamp {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Timestamp {
    /// How long before `other` it is; `None` where it isn't.
    #[must_use]
    pub fn before(&self, other: &Self) -> Option<Duration> {
        // Texts of one form and one zone: in the order of what they tell.
        if self.0 >= other.0 {
            return None;
        }
        let read = |time: &Self| humantime::parse_rfc3339(&time.0).ok();
        read(other)?.duration_since(read(self)?).ok()
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
        let good = text.len() == "2026-01-01T00:00:00.000Z".len()
            && humantime::parse_rfc3339(&text).is_ok();
        checked(good, text, "a time in UTC with milliseconds").map(Self)
    }
}

fn checked(good: bool, found: String, what: &'static str) -> Result<String, InvalidId> {
    if good {
        Ok(found)
    } else {
        Err(InvalidId { found, what })
    }
}

/// Whether a text is so many bytes in lower-case hexadecimal.
fn is_hex(text: &str, bytes: usize) -> bool {
    let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 2 * bytes && text.bytes().all(digit)
}
