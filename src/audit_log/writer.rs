//! Appends records to a log, under its lock.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use skopeo_index_core::audit::{Checkpoint, Entry, FileName, LogId, Rotation, RunId};

use super::LogError;
use super::end::Appended;
use super::file::LogFile;
use super::rotate::names;
use crate::os::{
    CancelToken, FileLock, GroupCommit, LockAttempt, LockTimeout, PathContext, PathError, acquire,
    allow_unsyncable, ancestors, best_effort, parent_dir, random_bytes, sync_dir,
};

/// How long to wait for the lock. Its holder writes a record. A cancelled run waits long
/// enough to record how it ended, and too short to look like a hang.
const LOCK_TIMEOUT: LockTimeout = LockTimeout {
    running: Duration::from_secs(10),
    cancelled: Duration::from_millis(100),
};

/// How many logs that were rotated a writer passes by for one record: it would take as many
/// rotations while it waits.
const MAX_ROTATIONS: u32 = 16;

/// A log that this process and others append to.
#[derive(Debug)]
pub struct LogWriter<'c> {
    /// Another file once the log was rotated.
    current: Mutex<Arc<LogFile>>,
    /// The origin that the log, or the first of its chain, must have; `None` for any, and a
    /// random id for a new log.
    required_origin: Option<LogId>,
    cancel: &'c CancelToken,
    state: Mutex<WriterState>,
    syncs: GroupCommit,
    /// First fsync error. Linux reports a write-back error once; later fsyncs succeed
    /// although data was lost, so the log stays failed.
    sync_error: OnceLock<String>,
}

/// What a writer knows of its log.
#[derive(Debug)]
struct WriterState {
    /// The record that it wrote last; `None` before the first.
    last: Option<Appended>,
    /// How long it waits for the lock.
    lock_timeout: LockTimeout,
}

impl<'c> LogWriter<'c> {
    /// Opens a log, or creates an empty one. `cancel` ends waits for its lock.
    ///
    /// # Errors
    /// Where the system refuses, or the path is not a regular file.
    pub fn open(path: &Path, cancel: &'c CancelToken) -> Result<Self, LogError> {
        let file = LogFile::open_or_create(path)?;
        sync_dir(parent_dir(path)).context("sync the directory of", path)?;
        for dir in ancestors(path).iter().skip(1) {
            allow_unsyncable(sync_dir(dir)).context("sync", dir)?;
        }
        Ok(Self {
            current: Mutex::new(Arc::new(file)),
            required_origin: None,
            cancel,
            state: Mutex::new(WriterState {
                last: None,
                lock_timeout: LOCK_TIMEOUT,
            }),
            syncs: GroupCommit::default(),
            sync_error: OnceLock::new(),
        })
    }

    /// Requires the log, or the first of its chain, to have this origin; a new log gets it.
    #[must_use]
    pub fn with_origin(self, origin: Option<LogId>) -> Self {
        Self {
            required_origin: origin,
            ..self
        }
    }

    /// Appends a record; it is durable after [`LogWriter::sync`]. If the file is renamed
    /// during the run, it is appended to under its new name; if it is rotated, the log that
    /// continues it is.
    ///
    /// # Errors
    /// No record was appended, perhaps the start of its line.
    pub fn append(&self, run: RunId, entry: Entry) -> Result<(), LogError> {
        let mut state = self.state();
        self.check_sync_error()?;
        for _ in 0..MAX_ROTATIONS {
            let file = self.current();
            {
                let _lock = self.lock(&file, &mut state)?;
                let end = file.end(state.last.as_ref(), run, self.required_origin.as_ref())?;
                let Some(rotation) = &end.rotation else {
                    state.last = Some(file.extend(end, run, entry)?);
                    return Ok(());
                };
                file.complete_rotation(&end, rotation, run)?;
            }
            // Records of this run in it may not be durable.
            self.sync()?;
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) =
                Arc::new(LogFile::open(&file.path)?);
            state.last = None;
        }
        Err(self.current().broken("rotated again and again"))
    }

    /// Ends the log, and keeps it in its directory, as `file` or as LOG.N after N - 1
    /// rotations. A new log at its path continues
    /// it. Completes a rotation that was interrupted. Returns the ended log's final
    /// checkpoint, and the name that it is kept at.
    ///
    /// # Errors
    /// Where the log is broken, the file exists, or the system refuses. Until the log's last record is written,
    /// the log is as before; afterwards, the next writer or rotation completes it.
    pub fn rotate(&self, file: Option<FileName>) -> Result<(Checkpoint, FileName), LogError> {
        let (mut state, log) = (self.state(), self.current());
        log.check_unbroken()?;
        let _lock = self.lock(&log, &mut state)?;
        let run = random_bytes().context("rotate", &log.path)?;
        let run = RunId::from_random(run);
        let mut end = log.end(None, run, self.required_origin.as_ref())?;
        let rotation = match end.rotation.clone() {
            Some(rotation) => rotation,
            None => {
                let real = log.real_path()?.unwrap_or_else(|| log.path.clone());
                let file = match file {
                    Some(file) => file,
                    None => log.default_name(&real, &end.log)?,
                };
                let (kept, next) = names(&real, &file)?;
                let operation = "keep the rotated log as";
                match kept.symlink_metadata() {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(PathError::new(operation, &kept, error).into()),
                    Ok(_) => {
                        let taken = io::Error::new(
                            ErrorKind::AlreadyExists,
                            "a file has this name; choose another one with --to",
                        );
                        return Err(PathError::new(operation, &kept, taken).into());
                    }
                }
                log.check_rotation(&real, &next)?;
                let next = random_bytes().and_then(|random| {
                    let next = end.log.next(random);
                    next.map_err(io::Error::other)
                });
                let next = next.context("rotate", &log.path)?;
                let rotation = Rotation { file, next };
                end = log.extend(end, run, Entry::Rotated(rotation.clone()))?.end;
                rotation
            }
        };
        let checkpoint = log.complete_rotation(&end, &rotation, run)?;
        Ok((checkpoint, rotation.file))
    }

    /// Makes all appended records durable.
    ///
    /// # Errors
    /// After a first failure always: it is not known what was lost.
    pub fn sync(&self) -> Result<(), LogError> {
        self.syncs.sync(|| {
            self.check_sync_error()?;
            let log = self.current();
            log.file.sync_data().map_err(|error| {
                // Only the first error counts.
                best_effort(self.sync_error.set(error.to_string()));
                PathError::new("sync", &log.path, error).into()
            })
        })
    }

    pub(super) fn current(&self) -> Arc<LogFile> {
        let current = self.current.lock();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    fn state(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_sync_error(&self) -> Result<(), LogError> {
        match self.sync_error.get() {
            None => Ok(()),
            Some(error) => Err(LogError::SyncFailed {
                path: self.current().path.clone(),
                error: error.clone(),
            }),
        }
    }

    /// Takes the lock. Any reader of the log can hold it; after a timeout it is only
    /// tried, so that one such reader delays a run once.
    fn lock<'f>(
        &self,
        log: &'f LogFile,
        state: &mut WriterState,
    ) -> Result<FileLock<&'f File>, LogError> {
        let attempt = acquire(&log.file, state.lock_timeout, self.cancel);
        match attempt.context("lock", &log.path)? {
            LockAttempt::Acquired(lock) => {
                state.lock_timeout = LOCK_TIMEOUT;
                Ok(lock)
            }
            LockAttempt::TimedOut => {
                state.lock_timeout.running = Duration::ZERO;
                Err(LogError::Locked(log.path.clone()))
            }
            LockAttempt::Cancelled(reason) => {
                state.lock_timeout.cancelled = Duration::ZERO;
                Err(LogError::Cancelled {
                    path: log.path.clone(),
                    reason,
                })
            }
        }
    }
}
