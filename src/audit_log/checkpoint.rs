//! Checkpoints of a log that this process appends to.
//!
//! "A log MUST not sign any checkpoint which is inconsistent with any checkpoint it
//! previously signed" (c2sp.org/tlog-checkpoint): the file's checkpoint is replaced by one
//! of an extension only.

use std::io::{self, ErrorKind};
use std::path::Path;

use skopeo_index_core::audit::{
    Checkpoint, CompactRange, Entry, LogId, LogLine, MAX_NOTE_LEN, NodeHash, PreviousLog, Record,
    SavedCheckpoint, leaf_hash,
};

use super::{LogError, LogWriter, file::LogFile};
use crate::os::{NewFile, PathContext, PathError, open_regular, read_all, replace_file};
use crate::signing::{SigningKey, sign_checkpoint};

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
    /// Where log or file can't be read or written, the log is broken, or the file has the
    /// checkpoint of a log that neither this one nor one that it continues is an extension of,
    /// or one that [`check_checkpoint_file`] refuses.
    pub fn save_checkpoint(&self, to: &Path, key: Option<&SigningKey>) -> Result<(), LogError> {
        let earlier = read_replaced_checkpoint(to, key)?;
        self.current().check_unbroken()?;
        let earlier = earlier.as_ref().map(SavedCheckpoint::checkpoint);
        let checkpoint = self.checkpoint_after(earlier)?;
        // Also the records of other processes: no crash may take back what is signed.
        self.sync()?;
        let saved = sign_checkpoint(key, checkpoint).context("sign", to)?;
        Ok(replace_file(to, saved.to_string().as_bytes()).context("write", to)?)
    }

    fn checkpoint_after(&self, earlier: Option<&Checkpoint>) -> Result<Checkpoint, LogError> {
        let log = self.current();
        let tree = log.read_tree(earlier)?;
        let checkpoint = tree.checkpoint.clone();
        match earlier {
            Some(earlier) if !log.is_extension(tree, earlier)? => {
                Err(LogError::NotExtended(log.path.clone()))
            }
            _ => Ok(checkpoint),
        }
    }
}

/// What the lines of a log add up to.
pub(super) struct LogTree {
    pub(super) checkpoint: Checkpoint,
    /// The root at the size of an earlier checkpoint; `None` if the log is shorter.
    earlier_root: Option<NodeHash>,
    /// The log that it continues.
    previous: Option<PreviousLog>,
}

impl LogFile {
    /// Reads all lines that have their newline.
    pub(super) fn read_tree(&self, earlier: Option<&Checkpoint>) -> Result<LogTree, LogError> {
        let (mut range, mut genesis) = (CompactRange::default(), None);
        let root_at = |range: &CompactRange| {
            let is_at = earlier.is_some_and(|earlier| earlier.size == range.size());
            is_at.then(|| range.root())
        };
        let mut earlier_root = root_at(&range);
        let mut lines = self.lines(0, u64::MAX);
        while let Some(line) = lines.next_line().context("read", &self.path)? {
            match line {
                LogLine::Line(line) => {
                    genesis = genesis.or_else(|| parse_genesis(line));
                    range.push(leaf_hash(line));
                }
                LogLine::TooLong(line) => range.push(line.leaf_hash),
                LogLine::Torn(_) | LogLine::TornTooLong(_) => continue,
            }
            earlier_root = earlier_root.or_else(|| root_at(&range));
        }
        let (origin, previous) = genesis.ok_or_else(|| self.broken("no genesis"))?;
        Ok(LogTree {
            checkpoint: Checkpoint {
                origin,
                size: range.size(),
                root: range.root(),
            },
            earlier_root,
            previous,
        })
    }

    /// The log that it continues, by its genesis.
    pub(super) fn previous(&self) -> Result<Option<PreviousLog>, LogError> {
        let mut lines = self.lines(0, u64::MAX);
        while let Some(line) = lines.next_line().context("read", &self.path)? {
            if let LogLine::Line(line) = line
                && let Some((_, previous)) = parse_genesis(line)
            {
                return Ok(previous);
            }
        }
        Ok(None)
    }

    /// Whether this log, or one that it continues, extends that of a checkpoint. Rotated logs
    /// are read back to the checkpoint's.
    fn is_extension(&self, mut tree: LogTree, earlier: &Checkpoint) -> Result<bool, LogError> {
        while tree.checkpoint.origin != earlier.origin {
            let Some(previous) = tree.previous else {
                return Ok(false);
            };
            if (&previous.log, previous.size) == (&earlier.origin, earlier.size) {
                return Ok(previous.root == earlier.root);
            }
            let path = self.path.canonicalize().context("resolve", &self.path)?;
            let kept = LogFile::open_kept(&path.with_file_name(previous.file.as_str()))?;
            tree = kept.read_tree(Some(earlier))?;
            if PreviousLog::new(previous.file.clone(), tree.checkpoint.clone()) != previous {
                return Ok(false);
            }
        }
        Ok(tree.earlier_root == Some(earlier.root))
    }
}

fn parse_genesis(line: &[u8]) -> Option<(LogId, Option<PreviousLog>)> {
    let record = Record::parse(line).ok()?;
    match record.entry {
        Entry::Genesis { previous, .. } => Some((record.log, previous)),
        _ => None,
    }
}

/// Finds out whether a checkpoint can be saved to a file, before there is one: the file has
/// a checkpoint or does not exist, and can be replaced.
///
/// # Errors
/// Where it can't, or would replace a signed checkpoint by one without a signature.
pub fn check_checkpoint_file(path: &Path, key: Option<&SigningKey>) -> Result<(), PathError> {
    read_replaced_checkpoint(path, key)?;
    NewFile::create(path).map(drop).context("write", path)
}

/// Reads the checkpoint that a new one is to replace; `None` where there is no file.
pub(super) fn read_replaced_checkpoint(
    path: &Path,
    key: Option<&SigningKey>,
) -> Result<Option<SavedCheckpoint>, PathError> {
    let file = match open_regular(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file,
    };
    let bytes = file.and_then(|file| read_all(file, MAX_NOTE_LEN, None));
    let saved = SavedCheckpoint::parse(&bytes.context("read", path)?);
    let saved = saved.map_err(io::Error::other).context("read", path)?;
    if saved.is_signed() && key.is_none() {
        let reason = "it is signed; give --signing-key, or remove the file first";
        return Err(PathError::new("replace", path, io::Error::other(reason)));
    }
    Ok(Some(saved))
}
