//! Names of logs and runs, and times.

use std::io;
use std::time::{Duration, SystemTime};

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use crate::text::quoted;

/// A log's name: 128 random bits, shown as `skopeo-index/<32 hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(String);

/// A run's name: 64 random bits in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RunId(String);

/// A time: UTC, RFC 3339 with milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(String);

/// A text that is no name of a log or a run, or no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not {what}", quoted(found))]
pub struct NotAName {
    found: String,
    what: &'static str,
}

const ORIGIN: &str = "skopeo-index/";

impl Origin {
    /// A new log's.
    pub(super) fn random() -> io::Result<Self> {
        Ok(Self(format!("{ORIGIN}{}", random_hex::<16>()?)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Origin {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let good = text.strip_prefix(ORIGIN).is_some_and(|hex| is_hex(hex, 16));
        checked(good, text, "the name of a log").map(Self)
    }
}

impl RunId {
    /// A new run's.
    pub(super) fn random() -> io::Result<Self> {
        random_hex::<8>().map(Self)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunId {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        checked(is_hex(&text, 8), text, "the name of a run").map(Self)
    }
}

impl Time {
    pub(super) fn now() -> Self {
        Self(humantime::format_rfc3339_millis(SystemTime::now()).to_string())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Time {
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

impl TryFrom<String> for Time {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let good = text.len() == "2026-01-01T00:00:00.000Z".len()
            && humantime::parse_rfc3339(&text).is_ok();
        checked(good, text, "a time in UTC with milliseconds").map(Self)
    }
}

fn checked(good: bool, found: String, what: &'static str) -> Result<String, NotAName> {
    if good {
        Ok(found)
    } else {
        Err(NotAName { found, what })
    }
}

/// The kernel's randomness: two logs or runs of one name would be a lie.
fn random_hex<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    // So few bytes come all at once.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a text may have come from [`random_hex`].
fn is_hex(text: &str, bytes: usize) -> bool {
    let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 2 * bytes && text.bytes().all(digit)
}
