//! Records: one line each.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::canonical;
use super::id::{LogId, RunId, Timestamp};
use super::line::MAX_RECORD_LEN;
use super::merkle::NodeHash;
use crate::digest::Digest;
use crate::machine::{Event, FetchPolicy};
use crate::request::Request;
use crate::skopeo::Exit;

/// The form of records that is written.
const SCHEMA: u64 = 1;

/// What stands between a record and its trailer, and behind that.
const TRAILER: (&str, &str) = (",\"trailer\":\"", "\"}");

/// Which skopeo was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkopeoIdentity {
    /// Where it is.
    pub path: String,
    /// SHA-256 of the program.
    pub sha256: Option<Digest>,
    /// What `skopeo --version` prints.
    pub version: String,
}

/// A command that was run for a transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRecord {
    /// Its arguments, without the program.
    pub argv: Vec<String>,
    /// Its exit status; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// How long it took.
    pub milliseconds: u64,
    /// The signal that ended it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

impl CommandRecord {
    /// A command with its arguments, without the program.
    #[must_use]
    pub fn new(argv: &[OsString], exit: Option<Exit>, took: Duration) -> Self {
        let (exit, signal) = match exit {
            Some(Exit::Status(status)) => (Some(status), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let text = |argument: &OsString| argument.to_string_lossy().into_owned();
        Self {
            argv: argv.iter().map(text).collect(),
            exit,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            signal,
        }
    }
}

/// Where a run's manifest bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceInfo {
    /// Another cache: an absolute path.
    Cache(String),
    /// skopeo.
    Skopeo(SkopeoIdentity),
}

/// A run: who, by which rules, from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunInfo {
    /// The cache: an absolute path.
    pub cache: String,
    /// The rules of its fetches.
    pub policy: FetchPolicy,
    /// Where its bytes come from.
    pub source: SourceInfo,
    /// The user id of the process.
    pub uid: u32,
    /// The version of skopeo-index.
    pub version: String,
}

/// What a record tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Entry {
    /// The log begins.
    Genesis {
        /// Our version.
        version: String,
    },
    /// A run begins.
    Run(RunInfo),
    /// A fetch went from state to state.
    Transition {
        /// The command that was run for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<CommandRecord>,
        /// The transition.
        event: Event,
        /// Which fetch of the run.
        fetch: u64,
        /// What is fetched.
        request: Request,
    },
    /// A run has ended.
    End {
        /// Fetches that ended with an object.
        committed: u64,
        /// Fetches that didn't.
        failed: u64,
        /// Fetches of these whose last records could not be written.
        unrecorded: u64,
    },
    /// A line that a crash had cut short was moved aside.
    Recovered {
        /// How many bytes it had.
        bytes: u64,
        /// The name of the file they are kept in.
        file: String,
        /// Their SHA-256.
        sha256: Digest,
    },
}

/// A record with what chains it to the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What it says.
    pub entry: Entry,
    /// The log that it belongs to.
    pub log: LogId,
    /// The leaf of the record before; zeros for the first.
    #[serde(serialize_with = "write_hex", deserialize_with = "read_hex")]
    pub prev: NodeHash,
    /// The run that wrote it.
    pub run: RunId,
    /// The form of the record.
    pub schema: Schema,
    /// Its number, from 0.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
}

/// The one form of records that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Schema;

/// 32 bytes in hexadecimal.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Hex(pub(super) NodeHash);

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No record is so long.
    #[error("it is longer than any record ({MAX_RECORD_LEN} bytes)")]
    TooLong,
    /// The line doesn't have the SHA-256 that stands in it.
    #[error("its trailer is not SHA-256 of what is before it: it was changed, or cut")]
    Trailer,
    /// Not a record's JSON.
    #[error("it is not a record: {0}")]
    Json(String),
    /// Another way to write the same.
    #[error("it is not in canonical form")]
    NotCanonical,
    /// A form of records that isn't known here.
    #[error("its schema is {0}, and this version knows {SCHEMA}")]
    Schema(u64),
}

impl Record {
    /// The record as a line, without the newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = canonical::to_string(self);
        line.pop();
        let sum = Digest::of(line.as_bytes()).hex();
        format!("{line}{}{sum}{}", TRAILER.0, TRAILER.1)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn parse(line: &[u8]) -> Result<Self, RecordError> {
        if line.len() > MAX_RECORD_LEN {
            return Err(RecordError::TooLong);
        }
        let written = without_trailer(line).ok_or(RecordError::Trailer)?;
        let record = serde_json::from_str(&written).map_err(|error| unread(&written, &error))?;
        // Whatever a parser overlooks or takes in another form isn't written so.
        if canonical::to_string(&record) == written {
            Ok(record)
        } else {
            Err(RecordError::NotCanonical)
        }
    }
}

/// Why a record can't be read: there may be a good reason.
fn unread(written: &str, error: &serde_json::Error) -> RecordError {
    #[derive(Deserialize)]
    struct Form {
        schema: u64,
    }
    match serde_json::from_str(written) {
        Ok(Form { schema }) if schema != SCHEMA => RecordError::Schema(schema),
        _ => RecordError::Json(error.to_string()),
    }
}

/// The record as JSON, if its trailer is right.
fn without_trailer(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let line = line.strip_suffix(TRAILER.1)?;
    let (record, sum) = line.split_at_checked(line.len().checked_sub(64)?)?;
    let record = record.strip_suffix(TRAILER.0)?;
    (Digest::of(record.as_bytes()).hex() == sum).then(|| format!("{record}}}"))
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::digest::hex(&self.0))
    }
}

impl TryFrom<String> for Hex {
    type Error = crate::digest::DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Digest::from_hex(&text).map(|digest| Self(*digest.as_bytes()))
    }
}

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        hex.to_string()
    }
}

fn write_hex<S: Serializer>(hash: &NodeHash, to: S) -> Result<S::Ok, S::Error> {
    Hex(*hash).serialize(to)
}

fn read_hex<'de, D: Deserializer<'de>>(from: D) -> Result<NodeHash, D::Error> {
    Hex::deserialize(from).map(|hex| hex.0)
}

impl TryFrom<u64> for Schema {
    type Error = RecordError;

    fn try_from(schema: u64) -> Result<Self, RecordError> {
        if schema == SCHEMA {
            Ok(Self)
        } else {
            Err(RecordError::Schema(schema))
        }
    }
}

impl From<Schema> for u64 {
    fn from(Schema: Schema) -> Self {
        SCHEMA
    }
}
