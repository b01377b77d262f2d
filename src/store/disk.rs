//! The file-system calls that matter, one method each.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use skopeo_index_core::machine::{CacheEntry, CancelReason, EffectError, ManifestBytes};

use crate::os::{CancelToken, PathError};

/// The file system as the store uses it. Tests inject faults and crashes here, below the
/// code under test.
///
/// Names in a [`Dir`] are resolved in the open directory, without following a link, and
/// nothing waits for the other end of a named pipe.
pub trait Disk: Send + Sync {
    /// Opens a directory, following links in its path.
    fn open_dir(&self, path: &Path) -> Result<Dir, PathError>;

    /// Creates a directory, unless it exists. Its parent exists.
    fn make_dir(&self, path: &Path) -> Result<(), PathError>;

    /// The directories that lead to `path`, also behind links, nearest first.
    fn ancestors(&self, path: &Path) -> Vec<PathBuf>;

    /// Makes the entries of a directory durable, by its path.
    fn sync_path(&self, path: &Path) -> Result<(), PathError>;

    /// Opens a private directory: a real directory, ours or root's, not writable by
    /// others. Anything else is an error.
    fn open_private_dir(&self, parent: &Dir, name: &str) -> Result<Dir, PathError>;

    /// Opens a private directory, which is created if missing.
    fn make_private_dir(&self, parent: &Dir, name: &str) -> Result<Dir, PathError>;

    /// Creates a private directory with a random name that begins with `prefix`. It may be
    /// taken.
    fn make_unique_dir(&self, parent: &Dir, prefix: &str) -> Result<(String, Dir), PathError>;

    /// Takes the lock of a file, which is created if missing. The lock ends when the
    /// guard is dropped or the process ends. `None` if a live process holds it, or if the
    /// file was removed before it was locked, so that the lock would protect nothing.
    fn lock(
        &self,
        dir: &Dir,
        name: &str,
        wait: LockWait<'_>,
    ) -> Result<Option<LockGuard>, DiskError>;

    /// Writes a new file, mode 0644, and makes its bytes durable. It is nameless where the
    /// file system can do that, and has the given name elsewhere.
    fn stage(&self, dir: &Dir, name: &str, bytes: &[u8]) -> Result<StagedFile, PathError>;

    /// Gives a staged file its name, without replacing.
    fn publish(&self, file: &StagedFile, to: &Dir, name: &str) -> Result<RenameOutcome, PathError>;

    /// Reads a file of at most `max` bytes, and keeps it open. A missing file is
    /// [`CacheEntry::Absent`].
    fn read(&self, dir: &Dir, name: &str, max: usize) -> Result<ReadFile, PathError>;

    /// Makes the bytes of a file that was read durable.
    fn sync_file(&self, file: &OpenFile) -> Result<(), PathError>;

    /// Makes the whole file system of a directory durable, if that is cheap and certain to
    /// cover these files.
    fn sync_file_system(&self, dir: &Dir, files: &[OpenFile]) -> Result<FileSystemSync, PathError>;

    /// Whether a path is on the file system of a directory.
    fn is_on_file_system_of(&self, dir: &Dir, path: &Path) -> bool;

    /// Makes a directory's entries durable.
    fn sync_dir(&self, dir: &Dir) -> Result<(), PathError>;

    /// Renames without replacing.
    fn rename(&self, from: (&Dir, &str), to: (&Dir, &str)) -> Result<RenameOutcome, PathError>;

    /// Puts a private file in place of another one or none: after a crash it is one of both,
    /// and whole. The caller holds a lock.
    fn replace(&self, dir: &Dir, name: &str, bytes: &[u8]) -> Result<(), PathError>;

    /// The names in a directory.
    fn list(&self, dir: &Dir) -> Result<Vec<OsString>, PathError>;

    /// Removes a file, or a directory with its contents, if it exists.
    fn remove(&self, dir: &Dir, name: &str) -> Result<(), PathError>;
}

/// An open directory. It stays the same one when its path is renamed or replaced.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
    /// `None` on a simulated disk.
    fd: Option<OwnedFd>,
}

impl Dir {
    pub(super) const fn open(path: PathBuf, fd: OwnedFd) -> Self {
        Self { path, fd: Some(fd) }
    }

    /// A directory of a simulated disk.
    #[must_use]
    pub const fn simulated(path: PathBuf) -> Self {
        Self { path, fd: None }
    }

    /// The path by which it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fd(&self) -> rustix::io::Result<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }
}

/// A file that was written and synced, and is not published yet.
#[derive(Debug)]
pub struct StagedFile {
    pub(super) path: PathBuf,
    /// Its descriptor, where it has no name.
    pub(super) nameless: Option<File>,
}

impl StagedFile {
    /// A file with a name.
    #[must_use]
    pub const fn named(path: PathBuf) -> Self {
        Self {
            path,
            nameless: None,
        }
    }

    /// Its path, if it has a name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What is at a name.
#[derive(Debug)]
pub struct ReadFile {
    /// Its bytes, if it is a file.
    pub entry: CacheEntry<ManifestBytes>,
    /// The file that has these bytes.
    pub file: Option<OpenFile>,
}

impl From<CacheEntry<ManifestBytes>> for ReadFile {
    /// Nothing that could be synced.
    fn from(entry: CacheEntry<ManifestBytes>) -> Self {
        Self { entry, file: None }
    }
}

/// A file that was read, whatever its name is now.
#[derive(Debug)]
pub struct OpenFile {
    pub(super) path: PathBuf,
    /// `None` on a simulated disk.
    pub(super) file: Option<File>,
    /// Number of the device that its file system is on.
    pub(super) device: u64,
}

impl OpenFile {
    /// A file of a simulated disk.
    #[must_use]
    pub const fn simulated(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            device: 0,
        }
    }

    /// The path by which it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The result of syncing a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystemSync {
    /// All that was written to it before is durable.
    Done,
    /// Nothing was synced: each file and directory needs an fsync.
    Unavailable,
}

/// Whether to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub enum LockWait<'a> {
    /// Don't wait.
    Try,
    /// Up to the lock timeout, or until cancelled.
    Blocking(&'a CancelToken),
}

/// Holds a lock until dropped.
pub type LockGuard = Box<dyn Send + Sync>;

/// The result of renaming or linking without replacing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameOutcome {
    /// The file has the new name.
    Renamed,
    /// The new name is taken; nothing was changed.
    TargetExists,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system refused it.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The wait was cancelled.
    #[error(transparent)]
    Cancelled(CancelReason),
}

impl DiskError {
    /// Whether the system refused it for this reason.
    #[must_use]
    pub fn is(&self, kind: io::ErrorKind) -> bool {
        matches!(self, Self::Io(error) if error.is(kind))
    }

    /// Whether the cache is another user's, from which this process only reads.
    #[must_use]
    pub fn is_of_another_user(&self) -> bool {
        self.is(io::ErrorKind::PermissionDenied) || self.is(io::ErrorKind::ReadOnlyFilesystem)
    }
}

impl From<DiskError> for EffectError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Io(error) => error.into(),
            DiskError::Cancelled(reason) => Self::Cancelled { reason },
        }
    }
}
