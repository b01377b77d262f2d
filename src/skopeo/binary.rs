//! skopeo's commands as child processes.

use std::path::{Path, PathBuf};

use skopeo_index_core::skopeo::{CommandOutput, SkopeoCommand, SkopeoOptions};

use super::CommandRunner;
use crate::command::{
    self, CommandLimits, CommandLine, MAX_TIMEOUT, RunError, Stderr, find_program,
};
use crate::os::CancelToken;

/// Default `GOGC` for skopeo unless set. A skopeo process lives for milliseconds and
/// spends a sixth of that in garbage collection at Go's default of 100 (`make bench`); it
/// holds little more than a manifest, so five times as much is bounded as well.
const GOGC: (&str, &str) = ("GOGC", "400");

/// A skopeo program.
#[derive(Clone, Debug)]
pub struct SkopeoBinary {
    program: PathBuf,
}

impl SkopeoBinary {
    /// `program` is a path, or a name on `PATH`. One that isn't found fails when it is run.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self {
            program: find_program(&program).unwrap_or(program),
        }
    }
}

impl CommandRunner for SkopeoBinary {
    fn program(&self) -> &Path {
        &self.program
    }

    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        options: &SkopeoOptions,
        limits: &CommandLimits<'_>,
        cancel: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        let line = CommandLine {
            program: &self.program,
            argv: &command.argv(options, limits.timeout.min(MAX_TIMEOUT)),
            variable: std::env::var_os(GOGC.0).is_none().then_some(GOGC),
            stdin: None,
            stderr: Stderr::Separate,
        };
        command::run(line, limits, cancel)
    }
}
