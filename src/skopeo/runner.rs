//! Who runs commands.

use std::path::Path;
use std::time::Duration;

use super::{Command, Options};
use crate::cancel::Cancel;
use crate::machine::Stop;

/// Runs a typed command to its end. Tests replace it.
pub trait CommandRunner: Send + Sync {
    /// Runs `command`, at most for `limits.time`, and kills it and all its
    /// descendants in its process group when `cancel` says so.
    ///
    /// # Errors
    /// [`RunError`] where there is no exit status to speak of.
    fn run(
        &self,
        command: &Command<'_>,
        options: &Options,
        limits: &Limits<'_>,
        cancel: &Cancel,
    ) -> Result<Ran, RunError>;
}

/// Bounds of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits<'a> {
    /// Time for the command.
    pub time: Duration,
    /// The directory that it writes to, which may not grow beyond
    /// [`super::STAGING_MAX`].
    pub writes_to: Option<&'a Path>,
}

/// A command that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// All it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The last of what it wrote to stderr.
    pub stderr: Vec<u8>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// Why a command has no exit status.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such program.
    #[error("{} is not there", .0.display())]
    NotThere(std::path::PathBuf),
    /// It could not be started, or its pipes broke.
    #[error("{program}: {error}")]
    Broken {
        /// The program.
        program: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The command's time was over.
    #[error("no end after {}", humantime::format_duration(*.after))]
    TimedOut {
        /// What it was.
        after: Duration,
        /// The last of what it had written to stderr.
        stderr: Vec<u8>,
    },
    /// The run was told to stop.
    #[error(transparent)]
    Stopped(Stop),
    /// It wrote more to stdout than any index has.
    #[error("more than {0} bytes of output")]
    OutputTooLarge(usize),
    /// It filled its directory.
    #[error("more than {0} bytes copied, so it can't be an index (a single image?)")]
    StagingTooLarge(u64),
    /// The process that ran it is gone: only tests that crash it say so.
    #[error("halted")]
    Halt,
}
