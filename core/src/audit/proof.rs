//! Proofs about a log of which only checkpoints are known.
//!
//! ```text
//!  c2sp.org/tlog-proof@v1                 old 20852014
//!  index 73894                            BASE64
//!  BASE64, from the leaf to the root      …
//!  …
//!                                         CHECKPOINT of the new size
//!  CHECKPOINT
//! ```
//!
//! The form on the left is that of c2sp.org/tlog-proof, without the optional extra data.
//! That on the right is what a client sends to a witness, c2sp.org/tlog-witness.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, CheckpointError, SavedCheckpoint, parse_hash};
use super::merkle::{NodeHash, is_consistent, leaf_hash, root_from_inclusion_proof};
use super::names::parse_number;
use super::note::MAX_NOTE_LEN;
use super::record::Record;

/// The first line of an inclusion proof.
const INCLUSION_HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Limit of the hashes in a proof: a tree of 2⁶⁴ leaves has 64 levels.
const MAX_PATH_LEN: usize = 64;

/// Limit of a proof in bytes: its hashes, two short lines and its checkpoint.
pub const MAX_PROOF_LEN: usize = MAX_NOTE_LEN + (8 << 10);

/// Why bytes are not a proof, or do not prove what they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The bytes have neither form of a proof.
    #[error("not a proof: expected \"{INCLUSION_HEADER}\" and an index, or \"old SIZE\"")]
    Header,
    /// A line before the blank line is not a hash.
    #[error("not a proof: line {0} is not a hash in base64")]
    Hash(usize),
    /// There are more hashes than a tree has levels.
    #[error("not a proof: more than {MAX_PATH_LEN} hashes")]
    TooManyHashes,
    /// No blank line and checkpoint follow the hashes.
    #[error("not a proof: expected a blank line and a checkpoint after the hashes")]
    NoCheckpoint,
    /// What follows the blank line is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The proof is about another log, or another size, than a checkpoint.
    #[error("the proof is for another log or another size than the checkpoint")]
    Mismatch,
    /// The line is not a record, or not the one that the proof is about.
    #[error("invalid record: {0}")]
    Record(String),
    /// The path leads to another root.
    #[error("the record is not in the log of the checkpoint")]
    NotIncluded,
    /// The log of the new checkpoint is not an extension of that of the old one.
    #[error("the log was rewritten: the checkpoint does not extend the earlier one")]
    NotConsistent,
}

/// A proof in either form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A record is in a log.
    Inclusion(InclusionProof),
    /// A log is an extension of an earlier one.
    Consistency(ConsistencyProof),
}

/// Shows that a record is in the log of a checkpoint (RFC 6962, section 2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The record's sequence number.
    pub index: u64,
    /// The siblings from the leaf to the root.
    pub path: Vec<NodeHash>,
    /// The checkpoint.
    pub checkpoint: SavedCheckpoint,
}

/// Shows that the log of a checkpoint is an extension of an earlier one (RFC 6962, section
/// 2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The size of the earlier log.
    pub old_size: u64,
    /// The hashes, in the order of RFC 6962.
    pub path: Vec<NodeHash>,
    /// The later checkpoint.
    pub checkpoint: SavedCheckpoint,
}

impl Proof {
    /// Parses a proof in either form.
    ///
    /// # Errors
    /// The first part that is not as the form has it.
    pub fn parse(proof: &[u8]) -> Result<Self, ProofError> {
        let (head, checkpoint) = split_blank_line(proof).ok_or(ProofError::NoCheckpoint)?;
        let head = std::str::from_utf8(head).map_err(|_| ProofError::Header)?;
        let mut lines = head.split('\n').zip(1_usize..);
        let first = lines.next();
        let is_inclusion = first.is_some_and(|(line, _)| line == INCLUSION_HEADER);
        let (line, word) = match is_inclusion {
            true => (lines.next(), "index "),
            false => (first, "old "),
        };
        let number = line.and_then(|(line, _)| parse_number(line.strip_prefix(word)?));
        let number = number.ok_or(ProofError::Header)?;
        let hash = |(line, at)| parse_hash(line).ok_or(ProofError::Hash(at));
        let path = lines.map(hash).collect::<Result<Vec<_>, _>>()?;
        if path.len() > MAX_PATH_LEN {
            return Err(ProofError::TooManyHashes);
        }
        let checkpoint = SavedCheckpoint::parse(checkpoint)?;
        Ok(match is_inclusion {
            true => Self::Inclusion(InclusionProof {
                index: number,
                path,
                checkpoint,
            }),
            false => Self::Consistency(ConsistencyProof {
                old_size: number,
                path,
                checkpoint,
            }),
        })
    }

    /// The checkpoint in the proof, which is not trusted.
    #[must_use]
    pub const fn checkpoint(&self) -> &SavedCheckpoint {
        match self {
            Self::Inclusion(proof) => &proof.checkpoint,
            Self::Consistency(proof) => &proof.checkpoint,
        }
    }
}

impl InclusionProof {
    /// Checks that a leaf is in the log of the checkpoint.
    ///
    /// # Errors
    /// Where it is not shown to be there.
    pub fn check(&self, leaf_hash: NodeHash) -> Result<(), ProofError> {
        let Checkpoint { size, root, .. } = self.checkpoint.checkpoint();
        match root_from_inclusion_proof(leaf_hash, self.index, *size, &self.path) {
            Some(found) if found == *root => Ok(()),
            _ => Err(ProofError::NotIncluded),
        }
    }

    /// Checks that a line is a record of the log of the checkpoint, and returns the record.
    ///
    /// # Errors
    /// Where it is not, or is another record than that of the index.
    pub fn check_record(&self, line: &[u8]) -> Result<Record, ProofError> {
        let record = Record::parse(line).map_err(|error| ProofError::Record(error.to_string()))?;
        if record.log != self.checkpoint.checkpoint().origin {
            return Err(ProofError::Mismatch);
        }
        if record.seq != self.index {
            let (found, expected) = (record.seq, self.index);
            let reason = format!("sequence number is {found}, expected {expected}");
            return Err(ProofError::Record(reason));
        }
        self.check(leaf_hash(line))?;
        Ok(record)
    }
}

impl ConsistencyProof {
    /// Checks that the log of the proof's checkpoint is an extension of that of `old`.
    ///
    /// # Errors
    /// Where it is not shown to be one.
    pub fn check(&self, old: &Checkpoint) -> Result<(), ProofError> {
        let new = self.checkpoint.checkpoint();
        if (&old.origin, old.size) != (&new.origin, self.old_size) {
            return Err(ProofError::Mismatch);
        }
        if is_consistent((old.size, old.root), (new.size, new.root), &self.path) {
            Ok(())
        } else {
            Err(ProofError::NotConsistent)
        }
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INCLUSION_HEADER}\nindex {}", self.index)?;
        write_path(f, &self.path, &self.checkpoint)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        write_path(f, &self.path, &self.checkpoint)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inclusion(proof) => proof.fmt(f),
            Self::Consistency(proof) => proof.fmt(f),
        }
    }
}

fn write_path(
    f: &mut fmt::Formatter<'_>,
    path: &[NodeHash],
    checkpoint: &SavedCheckpoint,
) -> fmt::Result {
    for hash in path {
        writeln!(f, "{}", STANDARD.encode(hash))?;
    }
    write!(f, "\n{checkpoint}")
}

/// What is before and after the first blank line.
fn split_blank_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.windows(2).position(|pair| pair == b"\n\n")?;
    Some((&text[..at], &text[at + 2..]))
}
