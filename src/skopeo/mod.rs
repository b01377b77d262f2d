//! skopeo as a child process.
//!
//! ```text
//! SkopeoCommand ──argv──▶ CommandRunner ──▶ CommandOutput ──▶ bytes, or an EffectError
//! ```

mod binary;
mod credentials;
mod identity;
mod runner;
mod storage;

use std::path::Path;
use std::time::{Duration, Instant};

use skopeo_index_core::audit::CommandRecord;
use skopeo_index_core::machine::EffectError;
use skopeo_index_core::skopeo::{Exit, RegistryAnswer, SkopeoCommand, SkopeoOptions, stderr};

pub use binary::SkopeoBinary;
pub use credentials::{
    AuthFilePath, AuthFileRole, PROXY_VARIABLES, PrivateAuthFile, auth_files, redactor,
};
pub use identity::{identify, version};
pub use runner::CommandRunner;
pub use storage::check_storage_exists;

use crate::command::CommandLimits;
use crate::os::CancelToken;

/// skopeo, as a run uses it.
#[derive(Clone, Copy)]
pub struct Skopeo<'a> {
    /// Runs its commands.
    pub runner: &'a dyn CommandRunner,
    /// Options of every command.
    pub options: &'a SkopeoOptions,
    /// Timeout of each command.
    pub command_timeout: Duration,
}

impl Skopeo<'_> {
    /// Runs a command and returns its stdout, if it exits with 0. `output_dir` is the
    /// directory that it writes to. `record` is set if the command was run.
    ///
    /// # Errors
    /// The classified failure.
    pub fn run(
        &self,
        command: &SkopeoCommand<'_>,
        output_dir: Option<&Path>,
        cancel: &CancelToken,
        record: &mut Option<CommandRecord>,
    ) -> Result<Vec<u8>, EffectError> {
        let limits = CommandLimits {
            timeout: self.command_timeout,
            output_dir,
        };
        let started = Instant::now();
        let result = self.runner.run(command, self.options, &limits, cancel);
        let output = result.as_ref().ok();
        let argv = command.argv(self.options, self.command_timeout);
        *record = Some(CommandRecord {
            answer: output.and_then(|ended| RegistryAnswer::of_command(command, &ended.stderr)),
            ..CommandRecord::new(&argv, output.map(|ended| ended.exit), started.elapsed())
        });
        match result {
            Ok(output) if output.exit == Exit::Status(0) => Ok(output.stdout),
            Ok(output) => Err(stderr::classify_exit(&output, &redactor(self.options))),
            Err(error) => Err(error.into()),
        }
    }
}
