//! The few file-system calls that matter, one method each.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::machine::Stop;
use crate::text::Escaped;

/// The file system as this crate uses it. Faults and crashes are injected here,
/// below the code that is tested.
pub trait Disk: Send + Sync {
    /// Makes a directory; one that is there already is fine. Its parent is there.
    ///
    /// # Errors
    /// [`Fault`], as for every method.
    fn make_dir(&self, dir: &Path) -> Result<Made, Fault>;

    /// Makes a directory in `parent` under a new name that begins with `prefix`.
    ///
    /// # Errors
    /// [`Fault`].
    fn make_unique_dir(&self, parent: &Path, prefix: &str) -> Result<PathBuf, Fault>;

    /// Takes the lock of a file, made where it is missing, until the guard is
    /// dropped or the process is gone.
    ///
    /// # Errors
    /// [`Fault`].
    fn lock(&self, file: &Path, wait: Wait<'_>) -> Result<Locked, Fault>;

    /// Writes a new file, mode 0644. It must not be there.
    ///
    /// # Errors
    /// [`Fault`].
    fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), Fault>;

    /// Reads a file of at most `max` bytes.
    ///
    /// # Errors
    /// [`Fault`]; a file that isn't there is [`Seen::Absent`], no fault.
    fn read(&self, file: &Path, max: usize) -> Result<Seen, Fault>;

    /// Makes a file's bytes durable.
    ///
    /// # Errors
    /// [`Fault`].
    fn sync_file(&self, file: &Path) -> Result<(), Fault>;

    /// Makes a directory's entries durable.
    ///
    /// # Errors
    /// [`Fault`].
    fn sync_dir(&self, dir: &Path) -> Result<(), Fault>;

    /// Renames, and never replaces.
    ///
    /// # Errors
    /// [`Fault`].
    fn rename(&self, from: &Path, to: &Path) -> Result<Renamed, Fault>;

    /// The names in a directory; none where it isn't there.
    ///
    /// # Errors
    /// [`Fault`].
    fn list(&self, dir: &Path) -> Result<Vec<OsString>, Fault>;

    /// Removes a file, or a directory with all that is in it. What isn't there
    /// is fine.
    ///
    /// # Errors
    /// [`Fault`].
    fn remove(&self, path: &Path) -> Result<(), Fault>;
}

/// Whether a directory was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is new.
    New,
    /// It was there.
    AlreadyThere,
}

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub enum Wait<'a> {
    /// Not at all.
    No,
    /// As long as an honest holder may take, or until told to stop.
    AWhile(&'a Cancel),
}

/// A lock, or who has it.
pub enum Locked {
    /// It is ours until this is dropped.
    Ours(Guard),
    /// A live process has it.
    Theirs,
    /// The file was removed while we took its lock, so that it locks nothing.
    Gone,
}

/// Holds a lock until it is dropped.
pub type Guard = Box<dyn Send + Sync>;

/// What reading found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing of that name.
    Absent,
    /// All of the file.
    Bytes(Vec<u8>),
    /// A file with more bytes than were asked for.
    Oversized {
        /// SHA-256 of all of them.
        digest: Digest,
        /// How many there are.
        size: u64,
    },
    /// A directory, a link, a device: something else than a regular file.
    NotAFile,
}

/// What renaming did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renamed {
    /// It moved.
    Moved,
    /// Something has the new name already; nothing was changed.
    Exists,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system refused it.
    #[error("cannot {doing} {}: {error}", Escaped(&.path.to_string_lossy()))]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It would have waited, and was told to stop.
    #[error(transparent)]
    Stopped(Stop),
    /// The process that made it is gone: only tests that crash it say so.
    #[error("halted")]
    Halt,
}

impl Fault {
    /// Whether the system refused it for this reason.
    #[must_use]
    pub fn is(&self, kind: io::ErrorKind) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == kind)
    }

    /// Others were at it for too long.
    pub(super) fn busy(doing: &'static str, path: &Path) -> Self {
        let error = io::Error::new(io::ErrorKind::ResourceBusy, "others keep it busy");
        let path = path.to_owned();
        Self::Io { doing, path, error }
    }
}

impl Seen {
    /// Whether it is a file whose bytes have this digest.
    #[must_use]
    pub fn hashes_to(&self, expected: Digest) -> bool {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes) == expected,
            Self::Oversized { digest, .. } => *digest == expected,
            Self::Absent | Self::NotAFile => false,
        }
    }
}
