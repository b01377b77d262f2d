//! Open directories of the machine's own file system, and what is in them.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, fchmod, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::disk::Dir;

/// Flags of every open of a name in a cache: no link is followed, no pipe waited for.
pub(super) const SAFE: OFlags = OFlags::CLOEXEC
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK);

/// Mode of published objects: other users read the cache.
pub(super) const OBJECT_MODE: Mode = Mode::from_raw_mode(0o644);

/// The path of an open file, whatever its name is.
pub(super) fn proc_path(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
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
pub(super) fn open_nameless(dir: &Dir) -> rustix::io::Result<OwnedFd> {
    if !Path::new("/proc/self/fd").exists() {
        return Err(Errno::OPNOTSUPP);
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(dir.fd()?, ".", flags, OBJECT_MODE)
}

/// Puts a private file in place of another one or none. Its bytes are durable before it gets
/// the name. Two processes must not do it at once.
pub(super) fn replace(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = format!("{name}.new");
    // What a run that crashed has left.
    remove_all(dir, OsStr::new(&new))?;
    let (flags, mode) = (
        OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | SAFE,
        Mode::RUSR | Mode::WUSR,
    );
    let mut file = File::from(openat(dir.fd()?, &*new, flags, mode)?);
    // The umask may take our own access.
    fchmod(&file, mode)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(renameat(dir.fd()?, &*new, dir.fd()?, name)?)
}

/// The names in a directory.
pub(super) fn entries(dir: &Dir) -> io::Result<Vec<OsString>> {
    // A description of its own, so that the offset is not shared.
    let flags = OFlags::DIRECTORY | SAFE;
    let fd = openat(dir.fd()?, ".", flags, Mode::empty())?;
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
pub(super) fn remove_all(dir: &Dir, name: &OsStr) -> io::Result<()> {
    let parent = dir.fd()?;
    let name = name.as_bytes();
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::DIRECTORY | SAFE;
    let path = dir.path().join(OsStr::from_bytes(name));
    let inner = match openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => Dir::open(path, fd),
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries(&inner)? {
        remove_all(&inner, &entry)?;
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
