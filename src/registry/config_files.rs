//! Bounded directories of configuration files, and files that may be missing.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::GateRefusal;

/// Maximum number of entries of a configuration directory. The largest is that of the
/// system's CA certificates, with some 300.
const MAX_DIR_ENTRIES: usize = 4096;

/// The paths of a directory's entries, sorted.
pub(super) fn list_dir(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in dir.read_dir()? {
        if paths.len() == MAX_DIR_ENTRIES {
            let message = format!("more than {MAX_DIR_ENTRIES} entries");
            return Err(io::Error::other(message));
        }
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// `None` where something doesn't exist; any other failure is a refusal.
pub(super) fn if_exists<T>(path: &Path, read: io::Result<T>) -> Result<Option<T>, GateRefusal> {
    match read {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(GateRefusal::unreadable(path, &error)),
    }
}
