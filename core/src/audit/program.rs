//! Programs that ran: skopeo, its commands, and verifiers.

use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::parse_number;
use crate::digest::Digest;
use crate::escape::{is_truncated, json_text};
use crate::skopeo::{Exit, RegistryAnswer};

/// The skopeo binary of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkopeoIdentity {
    /// Its path.
    pub path: String,
    /// SHA-256 of the file; `None` if it could not be read.
    pub sha256: Option<Digest>,
    /// The output of `skopeo --version`.
    pub version: String,
}

impl SkopeoIdentity {
    /// Checks the path, and the length of the version. A path that is not absolute is that of a
    /// program that was not found, and not hashed. A path keeps its components `..`, and
    /// `--version` of a program that is not skopeo may print anything, or nothing.
    ///
    /// # Errors
    /// What is wrong, as a predicate.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if !is_truncated(&self.version) {
            return Err("identifies a skopeo by a version that was not truncated");
        }
        match self.path.starts_with('/') || !self.path.is_empty() && self.sha256.is_none() {
            true => Ok(()),
            false => Err("identifies a skopeo without an absolute path"),
        }
    }
}

/// Whether a text is a version of this program, by the numbers that Cargo requires:
/// `MAJOR.MINOR.PATCH`, and a suffix.
pub(super) fn is_version(text: &str) -> bool {
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = numbers.split('.').map(parse_number::<u64>).collect();
    numbers.len() == 3 && numbers.iter().all(Option::is_some)
}

/// A command of a transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRecord {
    /// The registry that answered; `None` where none did, or it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<RegistryAnswer>,
    /// The arguments, without the program.
    pub argv: Vec<String>,
    /// The exit status, if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The duration.
    pub milliseconds: u64,
    /// The signal that killed it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

impl CommandRecord {
    /// Describes a command without a known answer. `argv` is without the program; `exit` is
    /// `None` if the command was not started or did not end.
    #[must_use]
    pub fn new(argv: &[OsString], exit: Option<Exit>, duration: Duration) -> Self {
        let (exit, signal) = match exit {
            Some(Exit::Status(status)) => (Some(status), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self {
            answer: None,
            argv: argv.iter().map(json_text).collect(),
            exit,
            milliseconds: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            signal,
        }
    }
}

/// A verifier's run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifierRecord {
    /// Its arguments, exit and duration.
    pub command: CommandRecord,
    /// SHA-256 of everything that it printed; `None` where it did not exit by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
    /// The program's path.
    pub path: String,
    /// SHA-256 of the program; `None` if it could not be read.
    pub sha256: Option<Digest>,
}
