//! Programs: found on `PATH`, and hashed.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use sha2::Digest as _;
use skopeo_index_core::digest::Digest;

use crate::os::{CancelToken, open_regular};

/// Finds a program: a path, or a name that is looked up in `PATH` now, so that the program
/// that is identified is the one that runs. One that isn't found keeps its name.
#[must_use]
pub fn find_program(program: PathBuf) -> PathBuf {
    if program.components().count() > 1 {
        return program;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(&program))
        .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok());
    found.unwrap_or(program)
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
