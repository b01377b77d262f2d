//! Registries on 127.0.0.1, for tests, demo and benchmarks.
//!
//! ```text
//!  Registry        in-process, plain HTTP; serves what it is given, or misbehaves
//!  Relay           a way to a registry that takes its time
//!  DockerRegistry  Debian's docker-registry, with or without password and TLS
//!  Storage         a container storage with a list's image in it (root only)
//!  samples         indexes, and what only looks like one
//! ```

mod behaviour;
mod docker;
mod registry;
mod relay;
pub mod samples;
mod storage;

pub use behaviour::Behaviour;
pub use docker::{DockerRegistry, PASSWORD, USER};
pub use registry::{CONNECT, PING, Registry, TOKEN};
pub use relay::Relay;
pub use storage::Storage;

use std::process::{Command, Stdio};

/// The digest of some bytes, as `sha256:…`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    let hash: [u8; 32] = sha2::Sha256::digest(bytes).into();
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Whether a process has ended. A dead one may wait to be buried by init.
#[must_use]
pub fn is_gone(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

/// Runs a command to its end and gives its stdout.
///
/// # Panics
/// Where it isn't there, with how to get it, or fails.
pub fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let ran = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}; `make setup` installs it"));
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{program} {args:?}: {}: {stderr}",
        ran.status
    );
    ran.stdout
}
