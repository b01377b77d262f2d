//! Checkpoints of a log, c2sp.org/tlog-checkpoint.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::id::{InvalidId, LogId};
use super::key::{VerifierKey, VerifierKeys};
use super::merkle::NodeHash;
use super::names::parse_number;
use super::note::{
    Note, NoteError, NoteSignature, SignatureError, check_characters, has_signature_line,
};

/// A log's size and Merkle root. Its text is the text of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log; C2SP calls this the origin.
    pub origin: LogId,
    /// Number of records.
    pub size: u64,
    /// RFC 6962 root of their leaf hashes.
    pub root: NodeHash,
}

/// Why bytes are not a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A signed checkpoint is not a note.
    #[error("not a checkpoint: {0}")]
    Note(NoteError),
    /// The text does not have exactly origin, size and root, one per line. Extension lines
    /// are refused: no log of this format has any.
    #[error("not a checkpoint: expected three lines: origin, size, root in base64")]
    Lines,
    /// The first line is not an origin.
    #[error("not a checkpoint: {0}")]
    Origin(InvalidId),
    /// The second line is not a size.
    #[error("not a checkpoint: the size must be a number without leading zeros")]
    Size,
    /// The third line is not a root.
    #[error("not a checkpoint: the root must be 32 bytes in base64")]
    Root,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, root) = (self.origin.as_str(), STANDARD.encode(self.root));
        writeln!(f, "{origin}\n{}\n{root}", self.size)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Parses the text of a checkpoint, without signatures.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        check_characters(text).map_err(CheckpointError::Note)?;
        let lines: Vec<_> = text.split('\n').collect();
        let [origin, size, root, ""] = lines[..] else {
            return Err(CheckpointError::Lines);
        };
        let origin = origin.to_owned().try_into();
        // "the ASCII decimal representation of the number of leaves in the tree, with no
        // leading zeroes"
        let size = parse_number(size);
        Ok(Self {
            origin: origin.map_err(CheckpointError::Origin)?,
            size: size.ok_or(CheckpointError::Size)?,
            root: parse_hash(root).ok_or(CheckpointError::Root)?,
        })
    }
}

/// A hash in base64, of which there is one form.
pub(super) fn parse_hash(text: &str) -> Option<NodeHash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// A checkpoint as it is saved: signed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedCheckpoint {
    checkpoint: Checkpoint,
    note: Option<Note>,
}

impl SavedCheckpoint {
    /// Parses a checkpoint with or without signatures.
    ///
    /// # Errors
    /// Where the form is neither that of a checkpoint nor that of a signed one.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let is_note = has_signature_line(bytes) || bytes.windows(2).any(|pair| pair == b"\n\n");
        if is_note {
            let note = Note::parse(bytes).map_err(CheckpointError::Note)?;
            let checkpoint = note.text().parse()?;
            let note = Some(note);
            return Ok(Self { checkpoint, note });
        }
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| CheckpointError::Note(NoteError::NotUtf8))?;
        Ok(Self::unsigned(text.parse()?))
    }

    /// A checkpoint without signatures.
    #[must_use]
    pub const fn unsigned(checkpoint: Checkpoint) -> Self {
        let note = None;
        Self { checkpoint, note }
    }

    /// Adds the first signature to a checkpoint.
    ///
    /// # Errors
    /// Where the signature's line is too long for a note.
    pub fn signed(checkpoint: Checkpoint, signature: NoteSignature) -> Result<Self, NoteError> {
        let note = Some(Note::new(&checkpoint.to_string(), signature)?);
        Ok(Self { checkpoint, note })
    }

    /// Whether it has a signature, valid or not.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.note.is_some()
    }

    /// Verifies the signatures of known keys, as [`Note::verify`] does.
    ///
    /// # Errors
    /// Where no known key's valid signature is on the checkpoint, or an invalid one is.
    pub fn verify<'k>(
        &self,
        keys: &'k VerifierKeys,
        is_valid: impl Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool,
    ) -> Result<Vec<&'k VerifierKey>, SignatureError> {
        let note = self.note.as_ref().ok_or(SignatureError::Unsigned)?;
        note.verify(keys, is_valid)
    }

    /// The checkpoint, which is not trusted before [`SavedCheckpoint::verify`].
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

impl fmt::Display for SavedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.note {
            Some(note) => note.fmt(f),
            None => self.checkpoint.fmt(f),
        }
    }
}
