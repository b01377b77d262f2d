//! Bounded reads of configuration files, none of which waits.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::GateRefusal;
use crate::os::{open_regular, read_all};

/// Maximum size of a configuration file in bytes. The largest is a bundle of all public
/// CA certificates, with some 200 KiB.
const MAX_CONFIG_FILE: usize = 1 << 20;

/// Maximum number of entries of a configuration directory. The largest is that of the
/// system's CA certificates, with some 300.
const MAX_DIR_ENTRIES: usize = 4096;

/// Reads a regular file.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_all(open_regular(path)?, MAX_CONFIG_FILE, None)
}

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
