//! The machine's own file system.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::Errno;
use sha2::Digest as _;

use super::disk::{Disk, Fault, Locked, Made, Renamed, Seen, Wait};
use crate::digest::Digest;

/// How long an honest holder may take: it does a handful of calls under a lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How often a lock is tried meanwhile.
const LOCK_EVERY: Duration = Duration::from_millis(5);

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// A lock on a file. It ends with this, though a child that another thread is just
/// starting has a copy of the file until it is executed (flock(2)).
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        let _freed_when_closed = self.0.unlock();
    }
}

/// Names what was being done to what.
trait During<T> {
    fn during(self, doing: &'static str, path: &Path) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, doing: &'static str, path: &Path) -> Result<T, Fault> {
        self.map_err(|error| Fault::Io {
            doing,
            path: path.to_owned(),
            error: error.into(),
        })
    }
}

impl Disk for RealDisk {
    fn make_dir(&self, dir: &Path) -> Result<Made, Fault> {
        match fs::create_dir(dir) {
            Ok(()) => Ok(Made::New),
            Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {
                Ok(Made::AlreadyThere)
            }
            Err(error) => Err(error).during("make the directory", dir),
        }
    }

    fn make_unique_dir(&self, parent: &Path, prefix: &str) -> Result<PathBuf, Fault> {
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
        Ok(made.during("make a directory in", parent)?.keep())
    }

    fn lock(&self, path: &Path, wait: Wait<'_>) -> Result<Locked, Fault> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .during("open", path)?;
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            match (file.try_lock(), wait) {
                (Ok(()), _) => break,
                (Err(TryLockError::WouldBlock), Wait::AWhile(cancel)) if Instant::now() < until => {
                    if let Some(why) = cancel.wait(LOCK_EVERY) {
                        return Err(Fault::Stopped(why));
                    }
                }
                (Err(TryLockError::WouldBlock), _) => return Ok(Locked::Theirs),
                (Err(TryLockError::Error(error)), _) => return Err(error).during("lock", path),
            }
        }
        match file.metadata().during("look at", path)?.nlink() {
            0 => Ok(Locked::Gone),
            _ => Ok(Locked::Ours(Box::new(Held(file)))),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o644)
            .open(path);
        let mut file = file.during("make", path)?;
        // Whatever the umask says: other users read the cache.
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o644)).during("chmod", path)?;
        file.write_all(bytes).during("write", path)
    }

    fn read(&self, path: &Path, max: usize) -> Result<Seen, Fault> {
        // A FIFO must not make us wait, and a link must not lead us elsewhere.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Seen::Absent),
            // A link, or a socket.
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::LOOP | Errno::NXIO)) => {
                return Ok(Seen::NotAFile);
            }
            Err(error) => return Err(error).during("open", path),
        };
        let meta = file.metadata().during("look at", path)?;
        if !meta.is_file() {
            return Ok(Seen::NotAFile);
        }
        let expected = usize::try_from(meta.len()).unwrap_or(usize::MAX).min(max);
        let mut bytes = Vec::with_capacity(expected + 1);
        let mut start = (&mut file).take(max as u64 + 1);
        start.read_to_end(&mut bytes).during("read", path)?;
        if bytes.len() <= max {
            return Ok(Seen::Bytes(bytes));
        }
        hash_on(bytes, &mut file).during("read", path)
    }

    fn sync_file(&self, path: &Path) -> Result<(), Fault> {
        let file = File::open(path).during("open", path)?;
        file.sync_all().during("sync", path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Fault> {
        self.sync_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<Renamed, Fault> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(Renamed::Moved),
            Err(Errno::EXIST) => Ok(Renamed::Exists),
            // A file system without the flag: a link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => match fs::hard_link(from, to) {
                Ok(()) => fs::remove_file(from)
                    .during("remove", from)
                    .map(|()| Renamed::Moved),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(Renamed::Exists),
                Err(error) => Err(error).during("link", to),
            },
            Err(error) => Err(error).during("rename to", to),
        }
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>, Fault> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).during("list", dir),
        };
        entries
            .map(|entry| Ok(entry.during("list", dir)?.file_name()))
            .collect()
    }

    fn remove(&self, path: &Path) -> Result<(), Fault> {
        let removed = match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).during("remove", path),
            _ => Ok(()),
        }
    }
}

/// Hashes what is left of a large file, without keeping it.
fn hash_on(start: Vec<u8>, rest: &mut File) -> io::Result<Seen> {
    let mut sha = sha2::Sha256::new();
    let (mut size, mut buffer) = (0, start);
    while !buffer.is_empty() {
        sha.update(&buffer);
        size += buffer.len() as u64;
        buffer.clear();
        rest.take(64 << 10).read_to_end(&mut buffer)?;
    }
    Ok(Seen::Oversized {
        digest: Digest::from_bytes(sha.finalize().into()),
        size,
    })
}
