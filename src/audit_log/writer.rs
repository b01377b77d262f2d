//! Appends records to a log, under its lock.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use skopeo_index_core::audit::{
    Checkpoint, CompactRange, Entry, LineReader, LogLine, RunId, leaf_hash,
};

use super::LogError;
use super::end::{Appended, WriterState};
use crate::os::{
    CancelToken, FileLock, GroupCommit, LockAttempt, LockTimeout, acquire, ancestors, best_effort,
    is_unsyncable, parent_dir, sync_dir,
};

/// How long to wait for the lock. Its holder writes a record. A cancelled run waits long
/// enough to record how it ended, and too short to look like a hang.
pub(super) const LOCK_TIMEOUT: LockTimeout = LockTimeout {
    running: Duration::from_secs(10),
    cancelled: Duration::from_millis(100),
};

/// A log that this process and others append to.
#[derive(Debug)]
pub struct LogWriter<'c> {
    pub(super) file: File,
    pub(super) path: PathBuf,
    cancel: &'c CancelToken,
    state: Mutex<WriterState>,
    syncs: GroupCommit,
    /// First fsync error. Linux reports a write-back error once; later fsyncs succeed
    /// although data was lost, so the log stays failed.
    sync_error: OnceLock<String>,
}

impl<'c> LogWriter<'c> {
    /// Opens a log, or creates an empty one. `cancel` ends waits for its lock.
    ///
    /// # Errors
    /// Where the system refuses, or the path is not a regular file.
    pub fn open(path: &Path, cancel: &'c CancelToken) -> Result<Self, LogError> {
        let context = |operation| LogError::context(operation, path);
        // O_APPEND, which `chattr +a` requires.
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o644)
            .open(path)
            .map_err(context("open"))?;
        let metadata = file.metadata().map_err(context("stat"))?;
        if !metadata.is_file() {
            return Err(context("write to")(io::Error::other("not a regular file")));
        }
        if metadata.mode() & 0o600 != 0o600 {
            // The umask took our own access from a new file.
            let mode = Permissions::from_mode(0o644);
            file.set_permissions(mode).map_err(context("chmod"))?;
        }
        sync_dir(dir_of(path)).map_err(context("sync the directory of"))?;
        for dir in ancestors(path).iter().skip(1) {
            match sync_dir(dir) {
                Err(error) if !is_unsyncable(error.kind()) => {
                    return Err(LogError::context("sync", dir)(error));
                }
                _ => {}
            }
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            cancel,
            state: Mutex::default(),
            syncs: GroupCommit::default(),
            sync_error: OnceLock::new(),
        })
    }

    /// Appends a record; it is durable after [`LogWriter::sync`]. If the file is renamed
    /// during the run, it is appended to under its new name.
    ///
    /// # Errors
    /// No record was appended, perhaps the start of its line.
    pub fn append(&self, run: &RunId, entry: Entry) -> Result<(), LogError> {
        let mut state = self.state();
        self.check_sync_error()?;
        let _lock = self.lock(&mut state)?;
        state.last = Some(self.append_locked(state.last.as_ref(), run, entry)?);
        Ok(())
    }

    /// Makes all appended records durable.
    ///
    /// # Errors
    /// After a first failure always: it is not known what was lost.
    pub fn sync(&self) -> Result<(), LogError> {
        self.syncs.sync(|| {
            self.check_sync_error()?;
            self.file.sync_data().map_err(|error| {
                // Only the first error counts.
                best_effort(self.sync_error.set(error.to_string()));
                self.context("sync")(error)
            })
        })
    }

    /// The checkpoint of all lines, whichever process wrote them. A torn line is not
    /// counted.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn checkpoint(&self) -> Result<Checkpoint, LogError> {
        let origin = self.state().last.as_ref().map(|last| last.end.log.clone());
        let origin = origin.ok_or_else(|| io::Error::other("no record was appended"));
        let origin = origin.map_err(self.context("read"))?;
        let mut range = CompactRange::default();
        let mut lines = self.lines(0, u64::MAX);
        while let Some(line) = lines.next_line().map_err(self.context("read"))? {
            match line {
                LogLine::Line(line) => range.push(leaf_hash(line)),
                LogLine::TooLong(line) => range.push(line.leaf_hash),
                LogLine::Torn(_) | LogLine::TornTooLong(_) => {}
            }
        }
        Ok(Checkpoint {
            origin,
            size: range.size(),
            root: range.root(),
        })
    }

    fn state(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_sync_error(&self) -> Result<(), LogError> {
        match self.sync_error.get() {
            None => Ok(()),
            Some(error) => Err(LogError::SyncFailed {
                path: self.path.clone(),
                error: error.clone(),
            }),
        }
    }

    /// Takes the lock. Any reader of the log can hold it; after a timeout it is only
    /// tried, so that one such reader delays a run once.
    fn lock(&self, state: &mut WriterState) -> Result<FileLock<&File>, LogError> {
        let attempt = acquire(&self.file, state.lock_timeout, self.cancel);
        match attempt.map_err(self.context("lock"))? {
            LockAttempt::Acquired => {
                state.lock_timeout = LOCK_TIMEOUT;
                Ok(FileLock(&self.file))
            }
            LockAttempt::TimedOut => {
                state.lock_timeout.running = Duration::ZERO;
                Err(LogError::Locked(self.path.clone()))
            }
            LockAttempt::Cancelled(reason) => {
                state.lock_timeout.cancelled = Duration::ZERO;
                Err(LogError::Cancelled {
                    path: self.path.clone(),
                    reason,
                })
            }
        }
    }

    fn append_locked(
        &self,
        known: Option<&Appended>,
        run: &RunId,
        entry: Entry,
    ) -> Result<Appended, LogError> {
        let metadata = self.file.metadata().map_err(self.context("stat"))?;
        // A renamed file is kept; one without a name is lost when it is closed.
        if metadata.nlink() == 0 {
            return Err(self.context("write to")(io::Error::other(
                "the file was removed",
            )));
        }
        let end = match known {
            Some(known) if known.end.length == metadata.len() => known.end.clone(),
            known => self.catch_up(known, metadata.len(), run)?,
        };
        self.extend(end, run, entry)
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

/// The directory of a log.
pub(super) fn dir_of(log: &Path) -> &Path {
    parent_dir(log).unwrap_or(log)
}
