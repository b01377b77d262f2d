//! The seam between the program and child processes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use skopeo_index_core::machine::{CancelReason, EffectError, FailureKind};
use skopeo_index_core::skopeo::{CommandOutput, SkopeoCommand, SkopeoOptions, stderr};

use crate::os::CancelToken;

/// Runs a typed command to its end. Tests replace it.
pub trait CommandRunner: Send + Sync {
    /// Runs `command` within `limits`, and kills its process group when it exceeds them
    /// or when cancelled.
    ///
    /// # Errors
    /// [`RunError`] where the command did not end on its own.
    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        options: &SkopeoOptions,
        limits: &CommandLimits<'_>,
        cancel: &CancelToken,
    ) -> Result<CommandOutput, RunError>;

    /// Path or name of the program that is run.
    fn program(&self) -> &Path {
        Path::new("skopeo")
    }
}

/// Limits of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLimits<'a> {
    /// Time until the command is killed.
    pub timeout: Duration,
    /// The directory that it writes to, at most [`super::MAX_STAGING_SIZE`].
    pub output_dir: Option<&'a Path>,
}

/// Why a command did not end on its own.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program does not exist.
    #[error("{}: command not found", .0.display())]
    NotFound(PathBuf),
    /// It could not be started, or its pipes broke.
    #[error("{}: {error}", .program.display())]
    Io {
        /// The program.
        program: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Its timeout expired.
    #[error("no exit within {}", humantime::format_duration(*.after))]
    TimedOut {
        /// The timeout.
        after: Duration,
        /// The end of what it had written to stderr.
        stderr: Vec<u8>,
    },
    /// The run was cancelled.
    #[error(transparent)]
    Cancelled(CancelReason),
    /// It wrote more to stdout than any index has.
    #[error("more than {0} bytes of output")]
    OutputTooLarge(usize),
    /// It wrote more to its directory than any index takes.
    #[error("more than {0} bytes copied: this is not an index (a single image?)")]
    StagingTooLarge(u64),
}

impl From<RunError> for EffectError {
    fn from(error: RunError) -> Self {
        let kind = match &error {
            RunError::NotFound(_) => FailureKind::SkopeoNotFound,
            RunError::Io { .. } => FailureKind::SkopeoNotStarted,
            RunError::TimedOut { stderr, .. } => stderr::classify_timeout(stderr),
            RunError::OutputTooLarge(_) | RunError::StagingTooLarge(_) => FailureKind::TooLarge,
            RunError::Cancelled(reason) => return Self::Cancelled { reason: *reason },
        };
        Self::Command {
            kind,
            message: error.to_string(),
        }
    }
}
