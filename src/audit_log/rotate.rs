//! Rotation: a log ends, and another one at its path continues it.
//!
//! ```text
//!  0. link LOG to LOG.next, create LOG.next; remove each    both are possible
//!  1. LOG: … rotated\n                       durable; from here on nothing is appended
//!  2. link LOG to FILE
//!  3. LOG.next: genesis with the checkpoint   durable
//!  4. rename LOG.next to LOG, sync the directory
//! ```
//!
//! All under the lock of the log. There is a log at LOG at any time. After a crash behind
//! step 1, the next writer or rotation does the other steps; one in step 0 may leave LOG.next,
//! which the next rotation removes.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_getflags};
use skopeo_index_core::audit::{Checkpoint, FileName, LogId, PreviousLog, Rotation, RunId};

use super::LogError;
use super::end::{LogEnd, genesis};
use super::file::LogFile;
use crate::os::{PathContext, PathError, best_effort, parent_dir, sync_dir};

impl LogFile {
    /// Finds out whether a log can be rotated, before it is ended for good: whether it can get
    /// another name, and a new file can be created beside it.
    pub(super) fn check_rotation(&self, path: &Path, next_path: &Path) -> Result<(), LogError> {
        let metadata = next_path.symlink_metadata();
        let is_empty = metadata.is_ok_and(|next| next.is_file() && next.len() == 0);
        if is_empty || self.is_at(next_path)? {
            // Of a check that was interrupted.
            fs::remove_file(next_path).context("remove", next_path)?;
        }
        self.link(path, next_path, "link the log to")?;
        fs::remove_file(next_path).context("remove", next_path)?;
        LogFile::create(next_path)?;
        Ok(fs::remove_file(next_path).context("remove", next_path)?)
    }

    /// The name LOG.N, where N is the log's number in its chain, or the first one after it
    /// that is free. The name of a log that was moved away is not used again.
    pub(super) fn default_name(&self, path: &Path, log: &LogId) -> Result<FileName, LogError> {
        let operation = "make a name for the rotated log of";
        let stem = path.file_name().and_then(OsStr::to_str);
        let not_utf8 = || io::Error::other("its name is not UTF-8; use --to");
        let stem = stem.ok_or_else(not_utf8).context(operation, path)?;
        let previous = self.previous()?.and_then(|previous| {
            let number = previous
                .file
                .as_str()
                .strip_prefix(stem)?
                .strip_prefix('.')?;
            number.parse::<u64>().ok()
        });
        let first = previous.map_or(0, |n| n.saturating_add(1));
        for number in first.max(log.number())..=u64::MAX {
            let name = FileName::try_from(format!("{stem}.{number}"));
            let name = name.map_err(io::Error::other).context(operation, path)?;
            let taken = path.with_file_name(name.as_str()).symlink_metadata();
            if taken.is_err() {
                return Ok(name);
            }
        }
        let no_number = io::Error::other("no number is left; use --to");
        Err(PathError::new(operation, path, no_number).into())
    }

    /// Does what is left of a rotation of this log, whose last record is written. Returns its
    /// final checkpoint.
    pub(super) fn complete_rotation(
        &self,
        end: &LogEnd,
        rotation: &Rotation,
        run: RunId,
    ) -> Result<Checkpoint, LogError> {
        let completed = self.try_complete_rotation(end, rotation, run);
        completed.map_err(|error| match error {
            LogError::Io(error) => LogError::UnfinishedRotation {
                path: self.path.clone(),
                error,
            },
            error => error,
        })
    }

    fn try_complete_rotation(
        &self,
        end: &LogEnd,
        rotation: &Rotation,
        run: RunId,
    ) -> Result<Checkpoint, LogError> {
        if end.lacks_newline {
            let written = (&self.file).write_all(b"\n");
            written.context("write", &self.path)?;
        }
        self.file.sync_data().context("sync", &self.path)?;
        let checkpoint = self.read_tree(None)?.checkpoint;
        // Otherwise another process has completed it.
        if let Some(path) = self.real_path()? {
            let (kept, next) = names(&path, &rotation.file)?;
            if kept == path {
                return Err(LogError::Rotated(path));
            }
            self.keep_as(&path, &kept)?;
            self.replace(&path, &next, rotation, checkpoint.clone(), run)?;
        }
        Ok(checkpoint)
    }

    /// The path of this file without links; `None` if another file is at it.
    pub(super) fn real_path(&self) -> Result<Option<PathBuf>, PathError> {
        match fs::canonicalize(&self.path) {
            Ok(path) => Ok(self.is_at(&path)?.then_some(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PathError::new("resolve", &self.path, error)),
        }
    }

    /// Whether a path names this file.
    fn is_at(&self, path: &Path) -> Result<bool, PathError> {
        let own = self.file.metadata().context("stat", &self.path)?;
        match fs::symlink_metadata(path) {
            Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(PathError::new("stat", path, error)),
        }
    }

    /// Gives the file another name, unless it has it.
    fn keep_as(&self, path: &Path, kept: &Path) -> Result<(), LogError> {
        match self.link(path, kept, "keep the rotated log as") {
            Err(LogError::Io(error))
                if error.is(ErrorKind::AlreadyExists) && self.is_at(kept)? =>
            {
                Ok(())
            }
            linked => linked,
        }
    }

    fn link(&self, path: &Path, to: &Path, operation: &'static str) -> Result<(), LogError> {
        let linked = fs::hard_link(path, to).context(operation, to);
        linked.map_err(|error| match ioctl_getflags(&self.file) {
            Ok(flags) if flags.contains(IFlags::APPEND) => LogError::AppendOnly(path.to_owned()),
            _ => error.into(),
        })
    }

    /// Puts the log that continues this one at its path.
    fn replace(
        &self,
        path: &Path,
        next_path: &Path,
        rotation: &Rotation,
        checkpoint: Checkpoint,
        run: RunId,
    ) -> Result<(), LogError> {
        match fs::remove_file(next_path) {
            // Of a rotation that was interrupted.
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(PathError::new("remove", next_path, error).into()),
        }
        let next = LogFile::create(next_path)?;
        let metadata = self.file.metadata().context("stat", &self.path)?;
        // A log that root rotates stays its owner's. Others can't give a file away.
        best_effort(fchown(
            &next.file,
            Some(metadata.uid()),
            Some(metadata.gid()),
        ));
        let copied = next.file.set_permissions(metadata.permissions());
        copied.context("chmod", &next.path)?;
        let end = LogEnd::empty(rotation.next.clone());
        let previous = PreviousLog::new(rotation.file.clone(), checkpoint);
        next.extend(end, run, genesis(Some(previous)))?;
        next.file.sync_all().context("sync", &next.path)?;
        let renamed = fs::rename(next_path, path);
        renamed.context("replace", &self.path)?;
        Ok(sync_dir(parent_dir(path)).context("sync the directory of", &self.path)?)
    }
}

/// The path that a log is kept at, and the one that the next log is written at before it gets
/// the old one's.
///
/// # Errors
/// Where these are the same, so that the log would be lost.
pub(super) fn names(log: &Path, kept: &FileName) -> Result<(PathBuf, PathBuf), LogError> {
    let kept = log.with_file_name(kept.as_str());
    let mut next = log.as_os_str().to_owned();
    next.push(".next");
    if kept == next {
        let taken = io::Error::other("the next log is written at this name");
        return Err(PathError::new("keep the rotated log as", &kept, taken).into());
    }
    Ok((kept, next.into()))
}
