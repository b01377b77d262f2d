//! Which skopeo is run.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::Digest as _;

use super::{Command, CommandRunner, Exit, Limits, Options, Process};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::text::shortened;

/// What a record says of the skopeo that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of the program, if it can be read.
    pub sha256: Option<Digest>,
    /// What `skopeo --version` prints; empty where it doesn't.
    pub version: String,
}

/// Time for `skopeo --version`.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// Finds out which skopeo a [`Process`] runs.
#[must_use]
pub fn identify(process: &Process, cancel: &Cancel) -> Identity {
    let path = std::path::absolute(process.program());
    let path = path.unwrap_or_else(|_| process.program().to_owned());
    let limits = Limits {
        time: VERSION_WITHIN,
        writes_to: None,
    };
    let ran = process
        .run(&Command::Version, &Options::default(), &limits, cancel)
        .ok();
    let version = ran
        .filter(|ran| ran.exit == Exit::Status(0))
        .map(|ran| ran.stdout);
    let version = String::from_utf8_lossy(&version.unwrap_or_default())
        .trim()
        .to_owned();
    Identity {
        sha256: hash(&path).ok(),
        path,
        version: shortened(&version),
    }
}

fn hash(path: &Path) -> io::Result<Digest> {
    let (mut file, mut sha) = (File::open(path)?, sha2::Sha256::new());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::from_bytes(sha.finalize().into())),
            n => sha.update(&buffer[..n]),
        }
    }
}
