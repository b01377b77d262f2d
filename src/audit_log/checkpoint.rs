//! Checkpoints of a log that this process appends to.
//!
//! "A log MUST not sign any checkpoint which is inconsistent with any checkpoint it
//! previously signed" (c2sp.org/tlog-checkpoint): the file's checkpoint is replaced by one
//! of an extension only.

use std::io::{self, ErrorKind};
use std::path::Path;

use skopeo_index_core::audit::{
    Checkpoint, CompactRange, LogLine, MAX_NOTE_LEN, SavedCheckpoint, leaf_hash,
};

use super::{LogError, LogWriter};
use crate::os::{open_nonblocking, read_all, replace_file};
use crate::signing::{SigningKey, sign_with};

impl LogWriter<'_> {
    /// The checkpoint of all lines, whichever process wrote them. A torn line is not
    /// counted.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn checkpoint(&self) -> Result<Checkpoint, LogError> {
        self.checkpoint_after(None)
    }

    /// Writes a checkpoint of all lines to a file, atomically and durably.
    ///
    /// # Errors
    /// Where log or file can't be read or written, or the file has the checkpoint of a log
    /// that this one is not an extension of.
    pub fn save_checkpoint(&self, to: &Path, key: Option<&SigningKey>) -> Result<(), LogError> {
        let context = |operation| LogError::context(operation, to);
        let earlier = read_saved_checkpoint(to).map_err(context("read"))?;
        let earlier = earlier.as_ref().map(SavedCheckpoint::checkpoint);
        let checkpoint = self.checkpoint_after(earlier)?;
        // Also the records of other processes: no crash may take back what is signed.
        self.sync()?;
        let saved = sign_with(key, checkpoint).map_err(io::Error::other);
        let saved = saved.map_err(context("sign"))?;
        replace_file(to, saved.to_string().as_bytes()).map_err(context("write"))
    }

    fn checkpoint_after(&self, earlier: Option<&Checkpoint>) -> Result<Checkpoint, LogError> {
        let origin = self.origin();
        let origin = origin.ok_or_else(|| io::Error::other("no record was appended"));
        let origin = origin.map_err(self.context("read"))?;
        let mut range = CompactRange::default();
        let root_at = |range: &CompactRange| {
            let is_at = earlier.is_some_and(|earlier| earlier.size == range.size());
            is_at.then(|| range.root())
        };
        let mut earlier_root = root_at(&range);
        let mut lines = self.lines(u64::MAX);
        while let Some(line) = lines.next_line().map_err(self.context("read"))? {
            match line {
                LogLine::Line(line) => range.push(leaf_hash(line)),
                LogLine::TooLong(leaf) => range.push(leaf),
                LogLine::Torn(_) => continue,
            }
            earlier_root = earlier_root.or_else(|| root_at(&range));
        }
        let is_extended =
            |earlier: &Checkpoint| earlier.origin == origin && earlier_root == Some(earlier.root);
        if !earlier.is_none_or(is_extended) {
            return Err(LogError::NotExtended(self.path.clone()));
        }
        Ok(Checkpoint {
            origin,
            size: range.size(),
            root: range.root(),
        })
    }
}

/// Reads a checkpoint; `None` where there is no file.
pub(super) fn read_saved_checkpoint(path: &Path) -> io::Result<Option<SavedCheckpoint>> {
    let bytes = match open_nonblocking(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => read_all(file?, MAX_NOTE_LEN, None)?,
    };
    let saved = SavedCheckpoint::parse(&bytes).map_err(io::Error::other)?;
    Ok(Some(saved))
}
