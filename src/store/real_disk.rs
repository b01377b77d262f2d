//! The machine's own file system.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, fchmod, fstat, linkat, openat, renameat,
    renameat_with, syncfs, unlinkat,
};
use rustix::io::Errno;
use skopeo_index_core::digest::hex;
use skopeo_index_core::layout::STAGING_RANDOM;
use skopeo_index_core::machine::CacheEntry;

use super::disk::{
    Dir, Disk, DiskError, FileSystemSync, LockGuard, LockWait, OpenFile, ReadFile, RenameOutcome,
    StagedFile,
};
use super::open_dir::{
    OBJECT_MODE, check_private, create_private_dir, entries, open_nameless, remove_all,
};
use crate::os::{self, LockAttempt, LockTimeout, PathContext, PathError};

/// How long to wait for the cache's lock: its holder makes a handful of calls.
const LOCK_TIMEOUT: LockTimeout = LockTimeout {
    running: Duration::from_secs(10),
    cancelled: Duration::ZERO,
};

/// Mode of files in private directories.
const PRIVATE_FILE_MODE: Mode = Mode::from_raw_mode(0o600);

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open_dir(&self, path: &Path) -> Result<Dir, PathError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty()).context("open", path)?;
        Ok(Dir::open(path.to_owned(), fd))
    }

    fn make_dir(&self, path: &Path) -> Result<(), PathError> {
        match fs::DirBuilder::new().mode(0o777).create(path) {
            Ok(()) => {
                // A umask that takes our own access would make it useless.
                let mode = fs::metadata(path).context("stat", path)?.mode();
                if mode & 0o700 != 0o700 {
                    let mode = Mode::from_raw_mode(mode & 0o777) | Mode::RWXU;
                    rustix::fs::chmod(path, mode).context("chmod", path)?;
                }
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(error).context("create directory", path),
        }
    }

    fn ancestors(&self, path: &Path) -> Vec<PathBuf> {
        os::ancestors(path)
    }

    fn sync_path(&self, path: &Path) -> Result<(), PathError> {
        os::sync_dir(path).context("sync", path)
    }

    fn open_private_dir(&self, parent: &Dir, name: &str) -> Result<Dir, PathError> {
        let path = parent.path().join(name);
        let dir = match parent.open_at(name, OFlags::DIRECTORY, Mode::empty()) {
            // O_DIRECTORY with O_NOFOLLOW says ENOTDIR of a link.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(io::Error::other("not a directory")).context("use", &path);
            }
            opened => opened.context("open", &path)?,
        };
        let metadata = dir.metadata().context("stat", &path)?;
        check_private(&metadata).context("use", &path)?;
        Ok(Dir::open(path, dir.into()))
    }

    fn make_private_dir(&self, parent: &Dir, name: &str) -> Result<Dir, PathError> {
        let path = parent.path().join(name);
        match create_private_dir(parent, name) {
            Ok(()) | Err(Errno::EXIST) => self.open_private_dir(parent, name),
            Err(error) => Err(error).context("create directory", &path),
        }
    }

    fn make_unique_dir(&self, parent: &Dir, prefix: &str) -> Result<(String, Dir), PathError> {
        let random =
            os::random_bytes::<STAGING_RANDOM>().context("name a directory in", parent.path())?;
        let name = format!("{prefix}{}", hex(&random));
        let created = create_private_dir(parent, &name);
        created.context("create directory", &parent.path().join(&name))?;
        let dir = self.open_private_dir(parent, &name)?;
        Ok((name, dir))
    }

    fn lock(
        &self,
        dir: &Dir,
        name: &str,
        wait: LockWait<'_>,
    ) -> Result<Option<LockGuard>, DiskError> {
        let path = dir.path().join(name);
        let file = dir.open_at(name, OFlags::CREATE | OFlags::RDWR, PRIVATE_FILE_MODE);
        let file = file.context("open", &path)?;
        let metadata = file.metadata().context("stat", &path)?;
        if !metadata.is_file() {
            let not_a_file = io::Error::other("not a regular file");
            return Err(PathError::new("lock", &path, not_a_file).into());
        }
        if metadata.mode() & 0o600 != 0o600 {
            // The umask took our own access from a new file.
            fchmod(&file, PRIVATE_FILE_MODE).context("chmod", &path)?;
        }
        let lock = match wait {
            LockWait::Try => os::try_acquire(file).context("lock", &path)?,
            LockWait::Blocking(cancel) => {
                let attempt = os::acquire(file, LOCK_TIMEOUT, cancel);
                match attempt.context("lock", &path)? {
                    LockAttempt::Acquired(lock) => Some(lock),
                    LockAttempt::TimedOut => None,
                    LockAttempt::Cancelled(reason) => return Err(DiskError::Cancelled(reason)),
                }
            }
        };
        let Some(lock) = lock else { return Ok(None) };
        match lock.0.metadata().context("stat", &path)?.nlink() {
            0 => Ok(None),
            _ => Ok(Some(Box::new(lock))),
        }
    }

    fn stage(&self, dir: &Dir, name: &str, bytes: &[u8]) -> Result<StagedFile, PathError> {
        let path = dir.path().join(name);
        let (file, nameless) = match open_nameless(dir) {
            Ok(file) => (file, true),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                let created = dir.create_new(name, OBJECT_MODE);
                (created.context("create", &path)?, false)
            }
            Err(error) => return Err(error).context("create", &path),
        };
        write_new(&file, OBJECT_MODE, bytes, &path)?;
        Ok(StagedFile {
            path,
            nameless: nameless.then_some(file),
        })
    }

    fn publish(&self, file: &StagedFile, to: &Dir, name: &str) -> Result<RenameOutcome, PathError> {
        let path = to.path().join(name);
        let Some(nameless) = &file.nameless else {
            return rename(CWD, &file.path, to, name, &path);
        };
        // The descriptor that was written gets the name: nothing can take its place.
        let written = os::proc_path(nameless);
        let link = |to| linkat(CWD, written, to, name, AtFlags::SYMLINK_FOLLOW);
        outcome(to.fd().and_then(link), "link", &path)
    }

    fn read(&self, dir: &Dir, name: &str, max: usize) -> Result<ReadFile, PathError> {
        let path = dir.path().join(name);
        let mut file = match dir.open_at(name, OFlags::RDONLY, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(CacheEntry::Absent.into()),
            // A link; a socket or a device.
            Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => {
                return Ok(CacheEntry::NotAFile.into());
            }
            Err(error) => return Err(error).context("open", &path),
        };
        let metadata = file.metadata().context("stat", &path)?;
        if !metadata.is_file() {
            return Ok(CacheEntry::NotAFile.into());
        }
        let expected = usize::try_from(metadata.len())
            .unwrap_or(usize::MAX)
            .min(max);
        let mut bytes = Vec::with_capacity(expected + 1);
        let mut start = (&mut file).take(max as u64 + 1);
        start.read_to_end(&mut bytes).context("read", &path)?;
        if bytes.len() > max {
            let size = metadata.len().max(bytes.len() as u64);
            return Ok(CacheEntry::Oversized { size }.into());
        }
        let content = bytes.into();
        Ok(ReadFile {
            entry: CacheEntry::File { content },
            file: Some(OpenFile {
                path,
                file: Some(file),
                device: metadata.dev(),
            }),
        })
    }

    fn sync_file(&self, file: &OpenFile) -> Result<(), PathError> {
        let opened = file.file.as_ref().ok_or(Errno::BADF);
        let opened = opened.context("sync", &file.path)?;
        opened.sync_all().context("sync", &file.path)
    }

    fn sync_file_system(&self, dir: &Dir, files: &[OpenFile]) -> Result<FileSystemSync, PathError> {
        let (fd, path) = (dir.fd().context("sync", dir.path())?, dir.path());
        let device = fstat(fd).context("stat", path)?.st_dev;
        // Another file system may be mounted at an object's name.
        let is_other = files.iter().any(|file| file.device != device);
        if is_other || !os::is_syncfs_usable(fd, files.len()) {
            return Ok(FileSystemSync::Unavailable);
        }
        match syncfs(fd) {
            Err(Errno::NOSYS | Errno::PERM) => return Ok(FileSystemSync::Unavailable),
            synced => synced.context("sync the file system of", path)?,
        }
        // The device's cache is not always flushed after the last block: not on ext4 without
        // a journal, nor on XFS without a record for its log. An fsync does it on all.
        files.last().map_or(Ok(()), |file| self.sync_file(file))?;
        Ok(FileSystemSync::Done)
    }

    fn is_on_file_system_of(&self, dir: &Dir, path: &Path) -> bool {
        let of_dir = dir.fd().and_then(fstat).map(|stat| stat.st_dev);
        let of_path = rustix::fs::stat(path).map(|stat| stat.st_dev);
        of_dir.is_ok() && of_dir == of_path
    }

    fn sync_dir(&self, dir: &Dir) -> Result<(), PathError> {
        let synced = dir.fd().and_then(rustix::fs::fsync);
        synced.context("sync", dir.path())
    }

    fn rename(
        &self,
        (from, name): (&Dir, &str),
        (to, new_name): (&Dir, &str),
    ) -> Result<RenameOutcome, PathError> {
        let path = to.path().join(new_name);
        let from = from.fd().context("rename to", &path)?;
        rename(from, name, to, new_name, &path)
    }

    fn replace(&self, dir: &Dir, name: &str, bytes: &[u8]) -> Result<(), PathError> {
        let new = format!("{name}.new");
        let path = dir.path().join(&new);
        // Of a run that crashed.
        self.remove(dir, &new)?;
        let file = dir.create_new(&new, PRIVATE_FILE_MODE);
        let file = file.context("create", &path)?;
        write_new(&file, PRIVATE_FILE_MODE, bytes, &path)?;
        let renamed = dir.fd().and_then(|fd| renameat(fd, &*new, fd, name));
        renamed.context("rename to", &dir.path().join(name))
    }

    fn list(&self, dir: &Dir) -> Result<Vec<OsString>, PathError> {
        entries(dir).context("list", dir.path())
    }

    fn remove(&self, dir: &Dir, name: &str) -> Result<(), PathError> {
        let removed = remove_all(dir, OsStr::new(name));
        removed.context("remove", &dir.path().join(name))
    }
}

/// Writes a new file, and makes its bytes durable.
fn write_new(mut file: &File, mode: Mode, bytes: &[u8], path: &Path) -> Result<(), PathError> {
    // The umask may have taken bits of it.
    fchmod(file, mode).context("chmod", path)?;
    file.write_all(bytes).context("write", path)?;
    file.sync_all().context("sync", path)
}

/// Renames without replacing.
fn rename(
    from: impl std::os::fd::AsFd + Copy,
    name: impl rustix::path::Arg + Copy,
    to: &Dir,
    new_name: &str,
    path: &Path,
) -> Result<RenameOutcome, PathError> {
    let to = to.fd().context("rename to", path)?;
    match renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
        // The file system lacks the flag; link(2) never replaces either.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let linked = linkat(from, name, to, new_name, AtFlags::empty());
            let outcome = outcome(linked, "link", path)?;
            if outcome == RenameOutcome::Renamed {
                let removed = unlinkat(from, name, AtFlags::empty());
                removed.context("remove the old name of", path)?;
            }
            Ok(outcome)
        }
        renamed => outcome(renamed, "rename to", path),
    }
}

fn outcome(
    renamed: rustix::io::Result<()>,
    operation: &'static str,
    path: &Path,
) -> Result<RenameOutcome, PathError> {
    match renamed {
        Ok(()) => Ok(RenameOutcome::Renamed),
        Err(Errno::EXIST) => Ok(RenameOutcome::TargetExists),
        Err(error) => Err(error).context(operation, path),
    }
}
