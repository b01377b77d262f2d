//! Registries on 127.0.0.1, for tests, demo and benchmarks.
//!
//! ```text
//!  Registry        in-process, HTTP or HTTPS; serves given documents, or misbehaves
//!  Relay           adds latency to a registry
//!  TokenRegistry   in-process, TLS and bearer tokens; counts requests
//!  DockerRegistry  Debian's docker-registry, with or without password and TLS
//!  Storage         a container storage with an image of an index (root only)
//!  failures        misbehaviours, and how the program reports each
//!  samples         indexes, and documents that resemble one
//! ```

mod behaviour;
mod docker;
mod failures;
mod registry;
mod relay;
pub mod samples;
mod serve;
mod storage;
#[cfg(feature = "program")]
mod token;

pub use behaviour::{Behaviour, Then};
pub use docker::{Certificate, DockerRegistry, PASSWORD, USER};
pub use failures::{Failure, failures};
pub use registry::{CONNECT, PING, Registry, TOKEN};
pub use relay::Relay;
pub use serve::Received;
pub use storage::Storage;
#[cfg(feature = "program")]
pub use token::{RequestCounts, TokenRegistry};

use std::process::{Command, Stdio};

/// The digest of some bytes, as `sha256:…`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    let hash: [u8; 32] = sha2::Sha256::digest(bytes).into();
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Whether a process has ended. A zombie has.
#[must_use]
pub fn is_gone(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

/// Runs a command to its end and returns its stdout.
///
/// # Panics
/// Where it fails or is missing, with the way to install it.
pub fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}; `make setup` installs it"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {args:?}: {}: {stderr}",
        output.status
    );
    output.stdout
}
