//! Advisory locks on files, flock(2).

use std::borrow::Borrow;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use skopeo_index_core::machine::CancelReason;

use super::{CancelToken, best_effort};

/// How often a contended lock is tried.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How long to wait for the lock of a directory: its holder replaces a file there.
const DIR_LOCK_TIMEOUT: LockTimeout = LockTimeout {
    running: Duration::from_secs(10),
    cancelled: Duration::ZERO,
};

/// A locked file, unlocked explicitly on drop. Closing is not enough: a child between
/// fork and exec shares the open file description.
#[derive(Debug)]
pub struct FileLock<F: Borrow<File>>(pub(crate) F);

impl<F: Borrow<File>> Drop for FileLock<F> {
    fn drop(&mut self) {
        // The lock also ends when the file is closed.
        best_effort(self.0.borrow().unlock());
    }
}

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockTimeout {
    /// In an ordinary run.
    pub(crate) running: Duration,
    /// Once the run is cancelled.
    pub(crate) cancelled: Duration,
}

/// The result of waiting for a lock.
pub(crate) enum LockAttempt<F: Borrow<File>> {
    Acquired(FileLock<F>),
    /// Another process holds it.
    TimedOut,
    Cancelled(CancelReason),
}

/// Takes the lock of a directory, for a process that replaces a file there; `None` where the
/// file system has no locks of directories (NFS).
///
/// # Errors
/// Where another process keeps the lock, the wait is cancelled, or the directory can't be
/// opened.
pub fn lock_dir(dir: &Path, cancel: &CancelToken) -> io::Result<Option<FileLock<File>>> {
    match acquire(File::open(dir)?, DIR_LOCK_TIMEOUT, cancel) {
        Ok(LockAttempt::Acquired(lock)) => Ok(Some(lock)),
        Ok(LockAttempt::TimedOut) => Err(io::Error::other(
            "another process keeps its directory locked (see `lslocks`)",
        )),
        Ok(LockAttempt::Cancelled(reason)) => Err(io::Error::other(reason.to_string())),
        Err(_) => Ok(None),
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Takes a file's lock; `None` if another process holds it.
pub(crate) fn try_acquire<F: Borrow<File>>(file: F) -> io::Result<Option<FileLock<F>>> {
    Ok(try_lock(file.borrow())?.then(|| FileLock(file)))
}

/// Waits for a file's lock.
pub(crate) fn acquire<F: Borrow<File>>(
    file: F,
    timeout: LockTimeout,
    cancel: &CancelToken,
) -> io::Result<LockAttempt<F>> {
    let begun = Instant::now();
    while !try_lock(file.borrow())? {
        if begun.elapsed() >= timeout.running {
            return Ok(LockAttempt::TimedOut);
        }
        if let Err(reason) = cancel.sleep(LOCK_POLL_INTERVAL) {
            if begun.elapsed() >= timeout.cancelled {
                return Ok(LockAttempt::Cancelled(reason));
            }
            thread::sleep(LOCK_POLL_INTERVAL);
        }
    }
    Ok(LockAttempt::Acquired(FileLock(file)))
}
