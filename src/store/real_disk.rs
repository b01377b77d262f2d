//! The machine's own file system.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, RenameFlags, fchmod};
use rustix::io::Errno;
use sha2::Digest as _;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{CacheEntry, ManifestBytes};

use super::disk::{DirStatus, Disk, DiskError, LockWait, RenameOutcome, TryLock};
use crate::os::{self, FileLock, LockAttempt, LockTimeout, open_nofollow};

/// How long to wait for the cache's lock: its holder makes a handful of calls.
const LOCK_TIMEOUT: LockTimeout = LockTimeout {
    running: Duration::from_secs(10),
    cancelled: Duration::ZERO,
};

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// Adds operation and path to an error.
trait IoContext<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|error| DiskError::Io {
            operation,
            path: path.to_owned(),
            error: error.into(),
        })
    }
}

impl Disk for RealDisk {
    fn make_dir(&self, dir: &Path) -> Result<DirStatus, DiskError> {
        match fs::create_dir(dir) {
            Ok(()) => Ok(DirStatus::Created),
            Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {
                Ok(DirStatus::Existing)
            }
            Err(error) => Err(error).context("create directory", dir),
        }
    }

    fn make_unique_dir(&self, parent: &Path, prefix: &str) -> Result<PathBuf, DiskError> {
        let created = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
        Ok(created.context("create a directory in", parent)?.keep())
    }

    fn lock(&self, path: &Path, wait: LockWait<'_>) -> Result<TryLock, DiskError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = open_nofollow(&mut options, path).context("open", path)?;
        let attempt = match wait {
            LockWait::Blocking(cancel) => os::acquire(&file, LOCK_TIMEOUT, cancel),
            LockWait::Try => os::try_acquire(&file),
        };
        match attempt.context("lock", path)? {
            LockAttempt::TimedOut => return Ok(TryLock::Contended),
            LockAttempt::Cancelled(reason) => return Err(DiskError::Cancelled(reason)),
            LockAttempt::Acquired => {}
        }
        match file.metadata().context("stat", path)?.nlink() {
            0 => Ok(TryLock::Unlinked),
            _ => Ok(TryLock::Acquired(Box::new(FileLock(file)))),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o644)
            .open(path);
        let mut file = file.context("create", path)?;
        // Other users read the cache, whatever the umask.
        fchmod(&file, Mode::from_raw_mode(0o644)).context("chmod", path)?;
        file.write_all(bytes).context("write", path)
    }

    fn read(&self, path: &Path, max: usize) -> Result<CacheEntry<ManifestBytes>, DiskError> {
        let mut file = match open_nofollow(OpenOptions::new().read(true), path) {
            Ok(file) => file,
            Err(error) => {
                return match Errno::from_io_error(&error) {
                    Some(Errno::NOENT) => Ok(CacheEntry::Absent),
                    // A link, or a socket.
                    Some(Errno::LOOP | Errno::NXIO) => Ok(CacheEntry::NotAFile),
                    _ => Err(error).context("open", path),
                };
            }
        };
        let metadata = file.metadata().context("stat", path)?;
        if !metadata.is_file() {
            return Ok(CacheEntry::NotAFile);
        }
        let expected = usize::try_from(metadata.len())
            .unwrap_or(usize::MAX)
            .min(max);
        let mut bytes = Vec::with_capacity(expected + 1);
        let mut start = (&mut file).take(max as u64 + 1);
        start.read_to_end(&mut bytes).context("read", path)?;
        if bytes.len() <= max {
            let content = bytes.into();
            return Ok(CacheEntry::File { content });
        }
        hash_rest(bytes, &mut file).context("read", path)
    }

    fn sync_file(&self, path: &Path) -> Result<(), DiskError> {
        let file = File::open(path).context("open", path)?;
        file.sync_all().context("sync", path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        os::sync_dir(path).context("sync", path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<RenameOutcome, DiskError> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(RenameOutcome::Renamed),
            Err(Errno::EXIST) => Ok(RenameOutcome::TargetExists),
            // The file system lacks the flag; link(2) never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => match fs::hard_link(from, to) {
                Ok(()) => fs::remove_file(from)
                    .context("remove", from)
                    .map(|()| RenameOutcome::Renamed),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(RenameOutcome::TargetExists),
                Err(error) => Err(error).context("link", to),
            },
            Err(error) => Err(error).context("rename to", to),
        }
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>, DiskError> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context("list", dir),
        };
        entries
            .map(|entry| Ok(entry.context("list", dir)?.file_name()))
            .collect()
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        let removed = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("remove", path),
            _ => Ok(()),
        }
    }
}

/// Hashes the rest of a large file without keeping it.
fn hash_rest(start: Vec<u8>, rest: &mut File) -> io::Result<CacheEntry<ManifestBytes>> {
    let mut sha = sha2::Sha256::new();
    let (mut size, mut buffer) = (0, start);
    while !buffer.is_empty() {
        sha.update(&buffer);
        size += buffer.len() as u64;
        buffer.clear();
        rest.take(64 << 10).read_to_end(&mut buffer)?;
    }
    Ok(CacheEntry::Oversized {
        digest: Digest::from_bytes(sha.finalize().into()),
        size,
    })
}
