//! The open file of a log.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use skopeo_index_core::audit::{LineReader, LogId, RunId};
use skopeo_index_core::escape::printable;

use super::LogError;
use super::end::{Appended, LogEnd};
use crate::os::{PathContext, PathError, open_regular};

/// A log's file, and the path that it was opened at.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl LogFile {
    /// Opens a log that exists.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        Self::open_with(OpenOptions::new().read(true), path)
    }

    /// Opens a log, or creates an empty one.
    pub(super) fn open_or_create(path: &Path) -> Result<Self, LogError> {
        Self::open_with(OpenOptions::new().read(true).create(true), path)
    }

    /// Creates a log where there is no file.
    pub(super) fn create(path: &Path) -> Result<Self, LogError> {
        Self::open_with(OpenOptions::new().read(true).create_new(true), path)
    }

    fn open_with(options: &mut OpenOptions, path: &Path) -> Result<Self, LogError> {
        // O_APPEND, which `chattr +a` requires.
        let file = options.append(true).mode(0o644).open(path);
        let file = file.context("open the audit log", path)?;
        let metadata = file.metadata().context("stat", path)?;
        if !metadata.is_file() {
            let not_a_file = io::Error::other("not a regular file");
            return Err(PathError::new("write to", path, not_a_file).into());
        }
        if metadata.mode() & 0o600 != 0o600 {
            // The umask took our own access from a new file.
            let mode = Permissions::from_mode(0o644);
            file.set_permissions(mode).context("chmod", path)?;
        }
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Opens a rotated log for reading.
    pub(super) fn open_kept(path: &Path) -> Result<Self, LogError> {
        let file = open_regular(path).context("read", path)?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// The end of the log, which other processes may have appended to. One without a record
    /// begins with the required origin, or a random id.
    pub(super) fn end(
        &self,
        known: Option<&Appended>,
        run: RunId,
        required_origin: Option<&LogId>,
    ) -> Result<LogEnd, LogError> {
        let metadata = self.file.metadata().context("stat", &self.path)?;
        // A renamed file is kept; one without a name is lost when it is closed.
        if metadata.nlink() == 0 {
            let removed = io::Error::other("the file was removed");
            return Err(PathError::new("write to", &self.path, removed).into());
        }
        match known {
            Some(known) if known.end.length == metadata.len() => Ok(known.end.clone()),
            known => self.catch_up(known, metadata.len(), run, required_origin),
        }
    }

    /// Reads the lines between two offsets, also of a renamed file.
    pub(super) fn lines(&self, from: u64, to: u64) -> LineReader<BufReader<io::Take<ReadAt<'_>>>> {
        let bytes = ReadAt(&self.file, from).take(to.saturating_sub(from));
        LineReader::new(BufReader::with_capacity(1 << 16, bytes))
    }

    pub(super) fn broken(&self, reason: &str) -> LogError {
        LogError::Broken {
            path: self.path.clone(),
            reason: printable(reason),
        }
    }
}

/// Reads a file by offsets.
pub(super) struct ReadAt<'f>(&'f File, u64);

impl Read for ReadAt<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_at(into, self.1)?;
        self.1 += read as u64;
        Ok(read)
    }
}
