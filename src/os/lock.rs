//! Advisory locks on files, flock(2).

use std::borrow::Borrow;
use std::fs::{File, TryLockError};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use skopeo_index_core::machine::CancelReason;

use super::{CancelToken, best_effort};

/// How often a contended lock is tried.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A locked file, unlocked explicitly on drop. Closing is not enough: a child between
/// fork and exec shares the open file description.
#[derive(Debug)]
pub(crate) struct FileLock<F: Borrow<File>>(pub(crate) F);

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
pub(crate) enum LockAttempt {
    Acquired,
    /// Another process holds it.
    TimedOut,
    Cancelled(CancelReason),
}

/// Takes a file's lock, if no other process holds it.
pub(crate) fn try_acquire(file: &File) -> io::Result<LockAttempt> {
    match file.try_lock() {
        Ok(()) => Ok(LockAttempt::Acquired),
        Err(TryLockError::WouldBlock) => Ok(LockAttempt::TimedOut),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Waits for a file's lock.
pub(crate) fn acquire(
    file: &File,
    timeout: LockTimeout,
    cancel: &CancelToken,
) -> io::Result<LockAttempt> {
    let begun = Instant::now();
    loop {
        match try_acquire(file)? {
            LockAttempt::TimedOut if begun.elapsed() < timeout.running => {}
            attempt => return Ok(attempt),
        }
        if let Err(reason) = cancel.sleep(LOCK_POLL_INTERVAL) {
            if begun.elapsed() >= timeout.cancelled {
                return Ok(LockAttempt::Cancelled(reason));
            }
            thread::sleep(LOCK_POLL_INTERVAL);
        }
    }
}
