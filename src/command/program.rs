//! Programs: found on `PATH`, and hashed.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use sha2::Digest as _;
use skopeo_index_core::digest::Digest;

use super::RunError;
use crate::os::{CancelToken, open_regular};

/// Finds a program: an executable file, by a path that has a slash, or by a name that is
/// looked up in `PATH` now, so that the program that is identified is the one that runs.
///
/// # Errors
/// Where the file does not exist, or is not executable.
pub fn find_program(program: &Path) -> Result<PathBuf, RunError> {
    let is_executable = |file: &PathBuf| file.is_file() && access(file, Access::EXEC_OK).is_ok();
    let error = |kind| RunError::io(program, io::Error::from(kind));
    if is_path(program) {
        let path = Some(program.to_owned()).filter(is_executable);
        return path.ok_or_else(|| match program.exists() {
            true => error(ErrorKind::PermissionDenied),
            false => error(ErrorKind::NotFound),
        });
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        // Shells take an empty one for the current directory.
        .filter(|dir| !dir.as_os_str().is_empty())
        .map(|dir| dir.join(program))
        .find(is_executable)
        .ok_or_else(|| error(ErrorKind::NotFound))
}

/// Whether a program is a path, which has a slash, and not a name.
#[must_use]
pub fn is_path(program: &Path) -> bool {
    program.as_os_str().as_encoded_bytes().contains(&b'/')
}

/// SHA-256 of a program.
///
/// # Errors
/// Where it can't be read, and once the run is cancelled.
pub fn hash_program(path: &Path, cancel: &CancelToken) -> io::Result<Digest> {
    let (mut file, mut sha) = (open_regular(path)?, sha2::Sha256::new());
    let mut buffer = vec![0; 1 << 18];
    loop {
        if cancel.cancelled().is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::from_bytes(sha.finalize().into())),
            n => sha.update(&buffer[..n]),
        }
    }
}
