//! The open file of a log.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use skopeo_index_core::audit::{LineReader, LogId, RunId};

use super::LogError;
use super::end::{Appended, LogEnd};
use crate::os::open_regular;

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
        let context = |operation| LogError::context(operation, path);
        // O_APPEND, which `chattr +a` requires.
        let file = options.append(true).mode(0o644).open(path);
        let file = file.map_err(context("open"))?;
        let metadata = file.metadata().map_err(context("stat"))?;
        if !metadata.is_file() {
            return Err(context("write to")(io::Error::other("not a regular file")));
        }
        if metadata.mode() & 0o600 != 0o600 {
            // The umask took our own access from a new file.
            let mode = Permissions::from_mode(0o644);
            file.set_permissions(mode).map_err(context("chmod"))?;
        }
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Opens a rotated log for reading.
    pub(super) fn open_kept(path: &Path) -> Result<Self, LogError> {
        let file = open_regular(path).map_err(LogError::context("read", path))?;
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
        let metadata = self.file.metadata().map_err(self.context("stat"))?;
        // A renamed file is kept; one without a name is lost when it is closed.
        if metadata.nlink() == 0 {
            return Err(self.context("write to")(io::Error::other(
                "the file was removed",
            )));
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

    pub(super) fn context(
        &self,
        operation: &'static str,
    ) -> impl Fn(io::Error) -> LogError + use<'_> {
        LogError::context(operation, &self.path)
    }

    pub(super) fn broken(&self, reason: &str) -> LogError {
        LogError::broken(&self.path, reason)
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
