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
mod serve;
mod storage;
#[cfg(feature = "program")]
mod token;

pub use crate::pure::samples;
pub use behaviour::{Behaviour, Then};
pub use docker::{Certificate, DockerRegistry, PASSWORD, USER};
pub use failures::{Failure, failures};
pub use registry::{CONNECT, PING, Registry, TOKEN};
pub use relay::Relay;
pub use samples::digest;
pub use serve::Received;
pub use storage::Storage;
#[cfg(feature = "program")]
pub use token::{RequestCounts, TokenRegistry};

use std::process::{Command, Stdio};

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
