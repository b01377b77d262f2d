//! Files and directories.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, CWD, OFlags, linkat};
use rustix::io::{Errno, retry_on_intr};
use rustix::rand::{GetRandomFlags, getrandom};
use tempfile::{NamedTempFile, TempPath};

use super::{CancelToken, best_effort, timespec};

/// Errors tolerated when syncing the ancestors of a file: they may not be ours.
const UNSYNCABLE: [ErrorKind; 3] = [
    ErrorKind::PermissionDenied,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::InvalidInput,
];

/// Opens a file with the given options, without following a link at its name and
/// without waiting for the other end of a named pipe.
pub(crate) fn open_nofollow(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

/// Opens a file for reading, without waiting for the writer of a named pipe.
pub fn open_nonblocking(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Opens a regular file for reading.
///
/// # Errors
/// Also where it is something else: a pipe or a device could keep its reader waiting.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = open_nonblocking(path)?;
    match file.metadata()?.file_type() {
        regular if regular.is_file() => Ok(file),
        dir if dir.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::other("not a regular file")),
    }
}

/// Reads a file, a pipe or a terminal to its end, at most `max` bytes of it. `cancel` ends
/// the wait for a pipe's writer.
///
/// # Errors
/// Also where there is more ([`ErrorKind::FileTooLarge`]), or the wait was cancelled.
pub fn read_all(file: impl AsFd, max: usize, cancel: Option<&CancelToken>) -> io::Result<Vec<u8>> {
    // A blocking descriptor, such as stdin, is read only once it is readable.
    let blocking = !rustix::fs::fcntl_getfl(&file)?.contains(OFlags::NONBLOCK);
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        if let Some(reason) = cancel.and_then(CancelToken::cancelled) {
            return Err(io::Error::new(ErrorKind::Interrupted, reason.to_string()));
        }
        if blocking && !is_readable(&file, cancel)? {
            continue;
        }
        match retry_on_intr(|| rustix::io::read(&file, &mut buffer)) {
            Ok(0) => return Ok(bytes),
            Ok(n) if bytes.len() + n > max => {
                let message = format!("larger than {max} bytes");
                return Err(io::Error::new(ErrorKind::FileTooLarge, message));
            }
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(Errno::AGAIN) => drop(is_readable(&file, cancel)?),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until a file is readable (or at its end) or the run is cancelled.
pub(super) fn is_readable(file: &impl AsFd, cancel: Option<&CancelToken>) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(file, PollFlags::IN)];
    fds.extend(cancel.map(|cancel| PollFd::new(cancel, PollFlags::IN)));
    let timeout = cancel.map(|cancel| timespec(cancel.time_left(std::time::Duration::MAX)));
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes a directory's entries durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The absolute path; unchanged if the working directory was removed.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The directories that lead to `path`, also behind links, nearest first.
pub(crate) fn ancestors(path: &Path) -> Vec<PathBuf> {
    let mut ancestors: Vec<PathBuf> = absolute(path).ancestors().skip(1).map(Into::into).collect();
    let real = path.canonicalize().unwrap_or_default();
    for dir in real.ancestors().skip(1) {
        if !ancestors.iter().any(|known| known == dir) {
            ancestors.push(dir.to_owned());
        }
    }
    ancestors
}

/// Whether what can't be synced for this reason may belong to another user.
pub(crate) fn is_unsyncable(error: &io::Error) -> bool {
    UNSYNCABLE.contains(&error.kind())
}

/// The result of a sync, which succeeds also where something may belong to another user.
pub(crate) fn allow_unsyncable(synced: io::Result<()>) -> io::Result<()> {
    synced.or_else(|error| {
        if is_unsyncable(&error) {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// The directory that a path is in: `.` for a bare name, the root for itself.
pub(crate) fn parent_dir(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        parent => parent.unwrap_or(path),
    }
}

/// Start of the names of files that have no other one yet.
const TEMPORARY_PREFIX: &str = ".skopeo-index-";

/// A file that takes the place of another one or none, atomically and durably, once it is
/// complete. It keeps the permissions, and if possible the owner, of the file that it
/// replaces.
pub struct NewFile<'p> {
    path: &'p Path,
    file: File,
    /// Its name, if the file system has no files without one.
    temporary: Option<TempPath>,
}

impl<'p> NewFile<'p> {
    /// An empty file.
    ///
    /// # Errors
    /// Also where the name is that of something else than a file.
    pub fn create(path: &'p Path) -> io::Result<Self> {
        let existing = match std::fs::symlink_metadata(path) {
            Ok(existing) if !existing.is_file() => {
                return Err(io::Error::other("not a regular file"));
            }
            existing => existing.ok(),
        };
        let mut options = OpenOptions::new();
        options.write(true).mode(0o666);
        let (file, temporary) = match open_nameless(&options, parent_dir(path))? {
            Some(file) => (file, None),
            None => {
                options.create_new(true);
                let named = make_temporary(path, |temporary| options.open(temporary))?;
                let (file, temporary) = named.into_parts();
                (file, Some(temporary))
            }
        };
        if let Some(existing) = existing {
            // Only root may give a file away.
            best_effort(fchown(&file, Some(existing.uid()), Some(existing.gid())));
            file.set_permissions(existing.permissions())?;
        }
        Ok(Self {
            path,
            file,
            temporary,
        })
    }

    /// Appends to it.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// Those of fsync(2), link(2) and rename(2).
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        let temporary = match self.temporary {
            Some(temporary) => temporary,
            // A link replaces nothing: it takes a rename.
            None => make_temporary(self.path, |temporary| {
                let from = proc_path(&self.file);
                Ok(linkat(CWD, from, CWD, temporary, AtFlags::SYMLINK_FOLLOW)?)
            })?
            .into_temp_path(),
        };
        temporary.persist(self.path)?;
        sync_dir(parent_dir(self.path))
    }
}

/// The path of an open file, whatever its name is.
pub(crate) fn proc_path(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Opens a file without a name, which is gone with the process until it is linked; `None` where
/// the file system has none.
fn open_nameless(options: &OpenOptions, dir: &Path) -> io::Result<Option<File>> {
    if !Path::new("/proc/self/fd").exists() {
        return Ok(None);
    }
    let flags = OFlags::TMPFILE.bits().cast_signed();
    match options.clone().custom_flags(flags).open(dir) {
        Ok(file) => Ok(Some(file)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Makes a file beside `path`, which is removed unless it gets another name. Unlike those of
/// `tempfile_in`, its errors don't name it.
fn make_temporary<F>(
    path: &Path,
    make: impl FnMut(&Path) -> io::Result<F>,
) -> io::Result<NamedTempFile<F>> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(TEMPORARY_PREFIX)
        .make_in(parent_dir(path), make)
}

/// Puts a file with this content in place of another one or none, as [`NewFile`] does.
///
/// # Errors
/// Those of [`NewFile`].
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(content)?;
    file.finish()
}

/// Creates a file that only its owner can read, durably.
///
/// # Errors
/// Also where there is something at its name.
pub(crate) fn create_secret_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // A part of a key is of no use.
    written.inspect_err(|_| best_effort(std::fs::remove_file(path)))?;
    sync_dir(parent_dir(path))
}

/// Random bytes from getrandom(2): ids must be unique across machines.
pub(crate) fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    // Up to 256 bytes arrive in one piece.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}

/// Writes all bytes, also to a descriptor that another process made non-blocking.
pub(super) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let fd = fd.as_fd();
                let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
                best_effort(poll(&mut fds, None));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
