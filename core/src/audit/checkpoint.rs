//! Checkpoints and proofs: what is kept elsewhere, and what is checked by it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::id::LogId;
use super::merkle::{NodeHash, leaf_hash, root_from_inclusion_proof};
use super::record::{Hex, Record};

/// How much of a log there was, and its root (C2SP tlog-checkpoint, without
/// signatures, which are for whoever keeps it to make and to check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: LogId,
    /// How many records.
    pub size: u64,
    /// RFC 6962 root of their leaves.
    pub root: NodeHash,
}

/// Why a text is no checkpoint, or a proof doesn't hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not origin, size and root on a line each.
    #[error("it is not a checkpoint: three lines, origin, size and root in base64")]
    Malformed,
    /// The proof is for another log or another size.
    #[error("proof and checkpoint are of different logs or sizes")]
    Mismatch,
    /// The proof's record is none, or another one.
    #[error("the proof's line is not that record: {0}")]
    Record(String),
    /// The path leads to another root.
    #[error("the record is not in the log of that checkpoint")]
    NotIncluded,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin.as_str(),
            self.size,
            base64(&self.root)
        )
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads one; what follows a blank line (signatures) is not looked at.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.lines();
        let mut line = || {
            lines
                .next()
                .filter(|line| !line.is_empty())
                .ok_or(CheckpointError::Malformed)
        };
        let (origin, size, root) = (line()?, line()?, line()?);
        // A size has one form, so that a checkpoint has one.
        let parsed: u64 = size.parse().map_err(|_| CheckpointError::Malformed)?;
        if parsed.to_string() != size {
            return Err(CheckpointError::Malformed);
        }
        let root = unbase64(root).ok_or(CheckpointError::Malformed)?;
        Ok(Self {
            origin: origin
                .to_owned()
                .try_into()
                .map_err(|_| CheckpointError::Malformed)?,
            size: parsed,
            root,
        })
    }
}

/// That a record is in a log of some size (RFC 6962, section 2.1.1).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// The record's line.
    record: String,
    /// Its number.
    seq: u64,
    /// The size of the log.
    size: u64,
    /// The hashes from the leaf to the root.
    path: Vec<Hex>,
}

impl InclusionProof {
    /// Makes one of a line and its path.
    #[must_use]
    pub fn new(record: String, seq: u64, size: u64, path: Vec<NodeHash>) -> Self {
        Self {
            record,
            seq,
            size,
            path: path.into_iter().map(Hex).collect(),
        }
    }

    /// Checks it against a checkpoint, without the log, and gives the record.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<Record, CheckpointError> {
        let line = self.record.as_bytes();
        let record = Record::parse(line).map_err(|e| CheckpointError::Record(e.to_string()))?;
        if record.log != checkpoint.origin || self.size != checkpoint.size {
            return Err(CheckpointError::Mismatch);
        }
        if record.seq != self.seq {
            return Err(CheckpointError::Record(format!(
                "it has number {}",
                record.seq
            )));
        }
        let path: Vec<NodeHash> = self.path.iter().map(|hash| hash.0).collect();
        match root_from_inclusion_proof(leaf_hash(line), self.seq, self.size, &path) {
            Some(root) if root == checkpoint.root => Ok(record),
            _ => Err(CheckpointError::NotIncluded),
        }
    }
}

/// A hash in base64 (RFC 4648, section 4).
fn base64(hash: &NodeHash) -> String {
    STANDARD.encode(hash)
}

/// The hash of a base64 text; the decoder takes one form only.
fn unbase64(text: &str) -> Option<NodeHash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
