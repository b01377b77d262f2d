//! The seam between the program and child processes.

use std::path::Path;

use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::skopeo::{CommandOutput, SkopeoCommand, SkopeoOptions, stderr};

use crate::command::{CommandLimits, RunError};
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

impl From<RunError> for EffectError {
    fn from(error: RunError) -> Self {
        let kind = match &error {
            RunError::NotFound(_) => FailureKind::SkopeoNotFound,
            RunError::Io { .. } => FailureKind::SkopeoNotStarted,
            RunError::TimedOut { stderr, .. } => stderr::classify_timeout(stderr),
            RunError::OutputTooLarge(_) | RunError::StagingTooLarge(..) => FailureKind::TooLarge,
            RunError::Cancelled(reason) => return Self::Cancelled { reason: *reason },
        };
        Self::Command {
            kind,
            message: error.to_string(),
        }
    }
}
