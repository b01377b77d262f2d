//! Checkpoints of a log, and proofs that a record is in the log of a checkpoint.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::id::LogId;
use super::merkle::{NodeHash, leaf_hash, root_from_inclusion_proof};
use super::record::{HexHash, Record};

/// A log's size and Merkle root, in the text form of a C2SP tlog-checkpoint without
/// signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log; C2SP calls this the origin.
    pub origin: LogId,
    /// Number of records.
    pub size: u64,
    /// RFC 6962 root of their leaf hashes.
    pub root: NodeHash,
}

/// Why a text is not a checkpoint, or an inclusion proof is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The text does not have origin, size and root, one per line.
    #[error("not a checkpoint: expected three lines: origin, size, root in base64")]
    Malformed,
    /// The proof is for another log or another size.
    #[error("the proof is for another log or another size than the checkpoint")]
    Mismatch,
    /// The proof's line is not a record, or has another sequence number than the proof.
    #[error("invalid record in the proof: {0}")]
    Record(String),
    /// The proof's path leads to another root.
    #[error("the record is not in the log of the checkpoint")]
    NotIncluded,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, root) = (self.origin.as_str(), STANDARD.encode(self.root));
        writeln!(f, "{origin}\n{}\n{root}", self.size)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Parses the first three lines. Extension lines and signatures are ignored.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let parse = || {
            let mut lines = text.lines();
            let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
            let checkpoint = Self {
                origin: origin.to_owned().try_into().ok()?,
                size: size.parse().ok()?,
                root: STANDARD.decode(root).ok()?.try_into().ok()?,
            };
            // "the ASCII decimal representation of the number of leaves in the tree, with
            // no leading zeroes"
            (checkpoint.size.to_string() == size).then_some(checkpoint)
        };
        parse().ok_or(CheckpointError::Malformed)
    }
}

/// Shows that a record is in a log of a given size (RFC 6962, section 2.1.1).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// The record's line.
    record: String,
    /// The record's sequence number.
    seq: u64,
    /// The size of the log.
    size: u64,
    /// The siblings from the leaf to the root.
    path: Vec<HexHash>,
}

impl InclusionProof {
    /// Combines a line with its path.
    #[must_use]
    pub fn new(record: String, seq: u64, size: u64, path: Vec<NodeHash>) -> Self {
        Self {
            record,
            seq,
            size,
            path: path.into_iter().map(HexHash).collect(),
        }
    }

    /// Checks the proof against a checkpoint, without the log, and returns the record.
    ///
    /// # Errors
    /// Where the record is not shown to be in the log of the checkpoint.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<Record, CheckpointError> {
        let line = self.record.as_bytes();
        let record = Record::parse(line).map_err(|e| CheckpointError::Record(e.to_string()))?;
        if record.log != checkpoint.origin || self.size != checkpoint.size {
            return Err(CheckpointError::Mismatch);
        }
        if record.seq != self.seq {
            let (found, expected) = (record.seq, self.seq);
            let reason = format!("sequence number is {found}, expected {expected}");
            return Err(CheckpointError::Record(reason));
        }
        let path: Vec<NodeHash> = self.path.iter().map(|hash| hash.0).collect();
        match root_from_inclusion_proof(leaf_hash(line), self.seq, self.size, &path) {
            Some(root) if root == checkpoint.root => Ok(record),
            _ => Err(CheckpointError::NotIncluded),
        }
    }
}
