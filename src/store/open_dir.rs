//! Open directories of the machine's own file system, and what is in them.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Mode, OFlags, RawDir, chmod, fstat, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::geteuid;

use super::disk::Dir;
use crate::os;

/// Mode of published objects: other users read the cache.
pub(super) const OBJECT_MODE: Mode = Mode::from_raw_mode(0o644);

/// Mode of private directories.
const PRIVATE_MODE: Mode = Mode::RWXU;

impl Dir {
    /// Opens a name in the directory. No link is followed, no pipe waited for.
    pub(super) fn open_at(
        &self,
        name: impl Arg,
        flags: OFlags,
        mode: Mode,
    ) -> rustix::io::Result<File> {
        let safe = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        Ok(openat(self.fd()?, name, flags | safe, mode)?.into())
    }

    /// Creates a file, to be written.
    pub(super) fn create_new(&self, name: &str, mode: Mode) -> rustix::io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
        self.open_at(name, flags, mode)
    }
}

/// Creates a private directory.
pub(super) fn create_private_dir(parent: &Dir, name: &str) -> rustix::io::Result<()> {
    mkdirat(parent.fd()?, name, PRIVATE_MODE)?;
    // The umask may have taken our own access. It can't be opened for reading then, and a link
    // in its place must not be followed.
    let dir = parent.open_at(name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    if Mode::from_raw_mode(fstat(&dir)?.st_mode).contains(PRIVATE_MODE) {
        return Ok(());
    }
    chmod(os::proc_path(&dir), PRIVATE_MODE)
}

/// Checks that a directory is ours or root's, and not writable by others.
pub(super) fn check_private(metadata: &Metadata) -> io::Result<()> {
    let (uid, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if uid != geteuid().as_raw() && uid != 0 {
        return Err(io::Error::other(format!(
            "owned by another user (uid {uid})"
        )));
    }
    if mode & 0o022 != 0 {
        let message = format!("writable by other users (mode {mode:o}); run `chmod go-w` on it");
        return Err(io::Error::other(message));
    }
    Ok(())
}

/// Opens a file without a name, where it can be linked later.
pub(super) fn open_nameless(dir: &Dir) -> rustix::io::Result<File> {
    if !Path::new("/proc/self/fd").exists() {
        return Err(Errno::OPNOTSUPP);
    }
    dir.open_at(".", OFlags::TMPFILE | OFlags::WRONLY, OBJECT_MODE)
}

/// The names in a directory.
pub(super) fn entries(dir: &Dir) -> io::Result<Vec<OsString>> {
    // A description of its own, so that the offset is not shared.
    let fd = dir.open_at(".", OFlags::DIRECTORY, Mode::empty())?;
    let mut buffer = Vec::with_capacity(32 << 10);
    let mut raw = RawDir::new(fd, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = raw.next() {
        let name = entry?.file_name().to_bytes().to_owned();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// Removes a name with all that is below it, without following links.
///
/// A tree may be deeper than the limit of open files, or than a stack: directories below the
/// second level are renamed up to the first, where their turn comes.
pub(super) fn remove_all(dir: &Dir, name: &OsStr) -> io::Result<()> {
    if remove_flat(dir, name)? == Removal::Done {
        return Ok(());
    }
    let Some(top) = open_inner(dir, name)? else {
        return Ok(());
    };
    let mut numbers = 0..u64::MAX;
    loop {
        let mut is_flat = true;
        for name in entries(&top)? {
            if remove_flat(&top, &name)? == Removal::Done {
                continue;
            }
            let Some(inner) = open_inner(&top, &name)? else {
                continue;
            };
            for name in entries(&inner)? {
                if remove_flat(&inner, &name)? == Removal::NotEmpty {
                    is_flat = false;
                    move_up(&inner, &name, &top, &mut numbers)?;
                }
            }
            remove_dir(&top, &name)?;
        }
        if is_flat {
            return match remove_dir(dir, name)? {
                Removal::Done => Ok(()),
                Removal::NotEmpty => Err(Errno::NOTEMPTY.into()),
            };
        }
    }
}

/// The result of removing a single name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removal {
    /// It is not there any more.
    Done,
    /// It is a directory with entries.
    NotEmpty,
}

/// Removes a file or an empty directory.
fn remove_flat(dir: &Dir, name: &OsStr) -> rustix::io::Result<Removal> {
    match unlinkat(dir.fd()?, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(Removal::Done),
        Err(Errno::ISDIR) => remove_dir(dir, name),
        Err(error) => Err(error),
    }
}

fn remove_dir(dir: &Dir, name: &OsStr) -> rustix::io::Result<Removal> {
    match unlinkat(dir.fd()?, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(Removal::Done),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(Removal::NotEmpty),
        Err(error) => Err(error),
    }
}

/// Opens a directory; `None` if it is not there any more.
fn open_inner(dir: &Dir, name: &OsStr) -> rustix::io::Result<Option<Dir>> {
    match dir.open_at(name, OFlags::DIRECTORY, Mode::empty()) {
        Ok(inner) => Ok(Some(Dir::open(dir.path().join(name), inner.into()))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renames a directory to the next number that is free in another one.
fn move_up(from: &Dir, name: &OsStr, to: &Dir, numbers: &mut Range<u64>) -> rustix::io::Result<()> {
    for number in numbers {
        // An empty directory would be replaced, which is as good; nothing else is.
        match renameat(from.fd()?, name, to.fd()?, number.to_string()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}
