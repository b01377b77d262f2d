//! Identity of the skopeo binary.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use sha2::Digest as _;
use skopeo_index_core::audit::SkopeoIdentity;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::truncate_message;
use skopeo_index_core::skopeo::{Exit, SkopeoCommand, SkopeoOptions};

use super::{CommandLimits, CommandRunner};
use crate::os::{CancelToken, open_regular};

/// Timeout of `skopeo --version`.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Identifies the program that a runner runs. What can't be determined is left empty.
#[must_use]
pub fn identify(runner: &dyn CommandRunner, cancel: &CancelToken) -> SkopeoIdentity {
    let path = std::path::absolute(runner.program());
    let path = path.unwrap_or_else(|_| runner.program().to_owned());
    let limits = CommandLimits {
        timeout: VERSION_TIMEOUT,
        output_dir: None,
    };
    let options = SkopeoOptions::default();
    let version = match runner.run(&SkopeoCommand::Version, &options, &limits, cancel) {
        Ok(output) if output.exit == Exit::Status(0) => output.stdout,
        _ => Vec::new(),
    };
    SkopeoIdentity {
        sha256: hash(&path, cancel).ok(),
        path: path.display().to_string(),
        version: truncate_message(String::from_utf8_lossy(&version).trim()),
    }
}

fn hash(path: &Path, cancel: &CancelToken) -> io::Result<Digest> {
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
