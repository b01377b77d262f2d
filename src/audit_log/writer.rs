//! Appends records to a log, under its lock.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use skopeo_index_core::audit::{Entry, LineReader, LogId, RunId};

use super::LogError;
use super::end::{Appended, LogEnd, WriterState};
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
    /// The id that the log must have; `None` for any, and a random one for a new log.
    pub(super) required_origin: Option<LogId>,
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
            required_origin: None,
            cancel,
            state: Mutex::default(),
            syncs: GroupCommit::default(),
            sync_error: OnceLock::new(),
        })
    }

    /// Requires the log to have this id; a new log gets it.
    #[must_use]
    pub fn with_origin(self, origin: Option<LogId>) -> Self {
        Self {
            required_origin: origin,
            ..self
        }
    }

    /// Appends a record; it is durable after [`LogWriter::sync`]. If the file is renamed
    /// during the run, it is appended to under its new name.
    ///
    /// # Errors
    /// Nothing was appended.
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

    /// The log's id; `None` before the first record of this process.
    pub(super) fn origin(&self) -> Option<LogId> {
        self.state().last.as_ref().map(|last| last.end.log.clone())
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

    /// Writes the next record, or nothing.
    pub(super) fn extend(
        &self,
        end: LogEnd,
        run: &RunId,
        entry: Entry,
    ) -> Result<Appended, LogError> {
        let from = end.length;
        let written = self.write(&self.file, end, run, entry).inspect_err(|_| {
            // What can't be truncated is a torn line, which the next append finds.
            best_effort(self.file.set_len(from));
        });
        written.map(|end| Appended { from, end })
    }

    /// Reads up to an offset from the beginning, also of a renamed file.
    pub(super) fn lines(&self, up_to: u64) -> LineReader<BufReader<io::Take<FromStart<'_>>>> {
        let from = FromStart(&self.file, 0).take(up_to);
        LineReader::new(BufReader::with_capacity(1 << 18, from))
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
pub(super) struct FromStart<'f>(&'f File, u64);

impl Read for FromStart<'_> {
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
