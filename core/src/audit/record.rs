//! Records, one per line.

use serde::{Deserialize, Serialize};

use super::exchange::ExchangeRecord;
use super::id::{LogId, RunId, Timestamp};
use super::invocation::Invocation;
use super::line::MAX_RECORD_LEN;
use super::merkle::NodeHash;
use super::program::{CommandRecord, SkopeoIdentity, VerifierRecord, is_version};
use super::rotation::{PreviousLog, Rotation};
use crate::digest::{Digest, hex};
use crate::escape::{Escaped, to_json};
use crate::machine::{Event, FetchPolicy, MAX_RETRY_TIMES};
use crate::request::Request;
use crate::verifier::Verifiers;

/// The schema version that is written and read.
const SCHEMA: u64 = 1;

/// The text around a trailer.
const TRAILER: (&str, &str) = (",\"trailer\":\"", "\"}");

/// Where a run's manifest bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceInfo {
    /// The registry client, or skopeo, which an [`Entry::Skopeo`] identifies before its
    /// first command.
    Auto,
    /// Another cache, with its absolute path.
    Cache(String),
    /// The registry client alone.
    Registry,
    /// skopeo, from a registry or a container storage.
    Skopeo(SkopeoIdentity),
}

/// The configuration of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunInfo {
    /// Absolute path of the cache, as [`json_text`](crate::escape::json_text) writes it.
    pub cache: String,
    /// Who started it, where, and what for.
    pub invocation: Invocation,
    /// The rules of its fetches.
    pub policy: FetchPolicy,
    /// Where its manifest bytes come from.
    pub source: SourceInfo,
    /// The programs that must approve the bytes.
    #[serde(default, skip_serializing_if = "Verifiers::is_empty")]
    pub verifiers: Verifiers,
    /// Version of the program.
    pub version: String,
}

impl RunInfo {
    /// Checks what every run of this program keeps to, which a record need not.
    ///
    /// # Errors
    /// What is wrong, as a predicate.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if !self.cache.starts_with('/') {
            return Err("has a cache without an absolute path");
        }
        if !is_version(&self.version) {
            return Err("has an impossible version");
        }
        if self.policy.attempts.get() > MAX_RETRY_TIMES.saturating_add(1) {
            return Err("has more attempts than can be chosen");
        }
        match &self.source {
            SourceInfo::Skopeo(identity) => identity.check(),
            SourceInfo::Auto | SourceInfo::Cache(_) | SourceInfo::Registry => Ok(()),
        }
    }
}

/// A line whose writing was interrupted, as a record names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TornLine {
    /// Its length in bytes, without the newline.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// Limit of the torn lines that one record names. Each is a crash while the ones before it
/// were recovered.
pub const MAX_TORN_LINES: usize = 64;

impl TornLine {
    /// Describes a line without its newline.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        Self {
            bytes: line.len() as u64,
            sha256: Digest::of(line),
        }
    }
}

/// A transition of a fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitionRecord {
    /// The skopeo command that led to it, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandRecord>,
    /// The transition.
    pub event: Event,
    /// Number of the fetch in its run.
    pub fetch: u64,
    /// The registry client's exchange, if it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<ExchangeRecord>,
    /// The fetch's request.
    pub request: Request,
    /// The verifier that led to it, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<Box<VerifierRecord>>,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all records are transitions"
)]
pub enum Entry {
    /// The log was created.
    Genesis {
        /// The log that this one continues.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<PreviousLog>,
        /// Version of the program.
        version: String,
    },
    /// A run began.
    Run(RunInfo),
    /// A fetch changed its state.
    Transition(TransitionRecord),
    /// A run is about to use skopeo, which its source leaves open.
    Skopeo(SkopeoIdentity),
    /// A run ended.
    End {
        /// Number of committed fetches.
        committed: u64,
        /// Number of failed fetches.
        failed: u64,
        /// Number of fetches, of both, whose last record could not be written.
        unrecorded: u64,
    },
    /// The lines between the previous record and this one are torn.
    Recovered {
        /// Each of them, in their order.
        lines: Vec<TornLine>,
    },
    /// The log was rotated: this is its last record.
    Rotated(Rotation),
}

/// A line of the log: an entry, and its links to the log and to the previous line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The content.
    pub entry: Entry,
    /// The log that the record belongs to.
    pub log: LogId,
    /// Leaf hash of the previous line; zeros in the first record.
    #[serde(with = "hex_hash")]
    pub prev: NodeHash,
    /// The run that wrote the record.
    pub run: RunId,
    /// The schema version.
    pub schema: Schema,
    /// Sequence number, from 0.
    pub seq: u64,
    /// Time of writing.
    pub time: Timestamp,
}

/// The supported schema version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Schema;

/// Why a line is not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The line is longer than a record may be.
    #[error("a record has at most {MAX_RECORD_LEN} bytes")]
    TooLong,
    /// The trailer is missing, or is not the hash of the bytes before it.
    #[error("hash mismatch: the record was changed or truncated")]
    Trailer,
    /// The line does not have the structure of a record.
    #[error("not a record: {}", Escaped(.0))]
    Json(String),
    /// The record is serialised in another way.
    #[error("not in canonical form")]
    NotCanonical,
    /// The record has another schema version.
    #[error("unsupported schema version {0}: expected {SCHEMA}")]
    Schema(u64),
}

impl Record {
    /// Serialises the record as a line, without the newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = to_json(self);
        line.pop();
        let sha256 = Digest::of(line.as_bytes()).hex();
        format!("{line}{}{sha256}{}", TRAILER.0, TRAILER.1)
    }

    /// Parses a line without its newline.
    ///
    /// # Errors
    /// The first check that fails: length, trailer, structure, canonical form.
    pub fn parse(line: &[u8]) -> Result<Self, RecordError> {
        if line.len() > MAX_RECORD_LEN {
            return Err(RecordError::TooLong);
        }
        let json = verify_trailer(line).ok_or(RecordError::Trailer)?;
        let record = serde_json::from_str(&json).map_err(|error| parse_error(&json, &error))?;
        // Also refuses what serde tolerates: other orders of keys, spaces, defaults.
        if to_json(&record) == json {
            Ok(record)
        } else {
            Err(RecordError::NotCanonical)
        }
    }
}

/// Tells another schema version from a record with an invalid structure.
fn parse_error(json: &str, error: &serde_json::Error) -> RecordError {
    #[derive(Deserialize)]
    struct AnyRecord {
        schema: u64,
    }
    match serde_json::from_str(json) {
        Ok(AnyRecord { schema }) if schema != SCHEMA => RecordError::Schema(schema),
        _ => RecordError::Json(error.to_string()),
    }
}

/// Whether a line that is not a record was written to its end, as its trailer shows: it was
/// changed, not torn. Within a record's texts, quotes are escaped.
#[must_use]
pub fn is_complete(line: &[u8]) -> bool {
    split_trailer(line).is_some()
}

/// The record's JSON without the trailer, if that is its SHA-256.
fn verify_trailer(line: &[u8]) -> Option<String> {
    let (record, sha256) = split_trailer(line)?;
    let is_hash = Digest::of(record).hex().as_bytes() == sha256;
    let record = std::str::from_utf8(record).ok()?;
    is_hash.then(|| format!("{record}}}"))
}

/// A line up to its trailer, and the hash in that.
fn split_trailer(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(TRAILER.1.as_bytes())?;
    let (record, sha256) = line.split_at(line.len().checked_sub(64)?);
    Some((record.strip_suffix(TRAILER.0.as_bytes())?, sha256))
}

/// Serialises a hash in hexadecimal.
pub(super) mod hex_hash {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{Digest, NodeHash, hex};

    pub(crate) fn serialize<S: Serializer>(hash: &NodeHash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(hash))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NodeHash, D::Error> {
        let digest = Digest::from_hex(&String::deserialize(from)?);
        digest
            .map(|digest| *digest.as_bytes())
            .map_err(D::Error::custom)
    }
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
