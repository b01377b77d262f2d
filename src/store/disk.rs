//! The file-system calls that matter, one method each.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use skopeo_index_core::escape::{Escaped, truncate_message};
use skopeo_index_core::machine::{CacheEntry, CancelReason, EffectError, ManifestBytes};

use crate::os::CancelToken;

/// The file system as the store uses it. Tests inject faults and crashes here, below the
/// code under test.
pub trait Disk: Send + Sync {
    /// Creates a directory, unless it exists. Its parent exists.
    ///
    /// # Errors
    /// Where the system refuses, as for every method.
    fn make_dir(&self, dir: &Path) -> Result<DirStatus, DiskError>;

    /// Creates a directory in `parent` with a new name that begins with `prefix`.
    fn make_unique_dir(&self, parent: &Path, prefix: &str) -> Result<PathBuf, DiskError>;

    /// Takes the lock of a file, which is created if missing. The lock ends when the
    /// guard is dropped or the process ends.
    ///
    /// # Errors
    /// Where the system refuses, or the wait is cancelled.
    fn lock(&self, file: &Path, wait: LockWait<'_>) -> Result<TryLock, DiskError>;

    /// Writes a new file, mode 0644. It must not exist.
    fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), DiskError>;

    /// Reads a file of at most `max` bytes. A missing file is [`CacheEntry::Absent`].
    fn read(&self, file: &Path, max: usize) -> Result<CacheEntry<ManifestBytes>, DiskError>;

    /// Makes a file's bytes durable.
    fn sync_file(&self, file: &Path) -> Result<(), DiskError>;

    /// Makes a directory's entries durable.
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// Renames without replacing.
    fn rename(&self, from: &Path, to: &Path) -> Result<RenameOutcome, DiskError>;

    /// The names in a directory; none where it is missing.
    fn list(&self, dir: &Path) -> Result<Vec<OsString>, DiskError>;

    /// Removes a file, or a directory with its contents, if it exists.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;
}

/// Whether a directory was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirStatus {
    /// It is new.
    Created,
    /// It existed.
    Existing,
}

/// Whether to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub enum LockWait<'a> {
    /// Don't wait.
    Try,
    /// Up to the lock timeout, or until cancelled.
    Blocking(&'a CancelToken),
}

/// The result of taking a lock.
pub enum TryLock {
    /// Held until the guard is dropped.
    Acquired(LockGuard),
    /// A live process holds it.
    Contended,
    /// The file was removed before it was locked, so the lock protects nothing.
    Unlinked,
}

/// Holds a lock until dropped.
pub type LockGuard = Box<dyn Send + Sync>;

/// The result of renaming without replacing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameOutcome {
    /// It was renamed.
    Renamed,
    /// The new name is taken; nothing was changed.
    TargetExists,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system refused it.
    #[error("cannot {operation} {}: {error}", Escaped(&.path.to_string_lossy()))]
    Io {
        /// The operation, as an infinitive.
        operation: &'static str,
        /// The path that it was applied to.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The wait was cancelled.
    #[error(transparent)]
    Cancelled(CancelReason),
}

impl DiskError {
    /// Whether the system refused it for this reason.
    #[must_use]
    pub fn is(&self, kind: io::ErrorKind) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == kind)
    }

    /// Gave up after too many conflicts with other processes.
    pub(super) fn contended(operation: &'static str, path: &Path) -> Self {
        let error = io::Error::new(io::ErrorKind::ResourceBusy, "too many concurrent changes");
        Self::Io {
            operation,
            path: path.to_owned(),
            error,
        }
    }
}

impl From<DiskError> for EffectError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Io {
                operation,
                path,
                error,
            } => Self::Disk {
                error: error.to_string(),
                operation: operation.to_owned(),
                path: truncate_message(&path.to_string_lossy()),
            },
            DiskError::Cancelled(reason) => Self::Cancelled { reason },
        }
    }
}
