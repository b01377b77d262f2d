//! `--debug`.

use std::time::Instant;

use super::seconds;
use skopeo_index::os::CancelToken;
use crate::cli::output::shell;
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoDebug, SkopeoOptions};
use skopeo_index::skopeo::{CommandLimits, CommandRunner, RunError, SkopeoBinary};
use skopeo_index_core::escape::{Escaped, redact_credentials};

/// The most lines of a failed command that are shown, from its end.
const LINES_MAX: usize = 100;

/// Runs skopeo, and with `--debug` tells what was run, and what it wrote to
/// stderr where it failed or had no end.
pub(in crate::cli) struct DebugRunner<'a> {
    pub(in crate::cli) skopeo: &'a SkopeoBinary,
    pub(in crate::cli) tell: &'a (dyn Fn(&str) + Sync),
}

impl CommandRunner for DebugRunner<'_> {
    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        options: &SkopeoOptions,
        limits: &CommandLimits<'_>,
        cancel: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        let started = Instant::now();
        let ran = self.skopeo.run(command, options, limits, cancel);
        if options.debug == SkopeoDebug::On {
            let command = shell(self.skopeo.program(), &command.argv(options, limits.time));
            (self.tell)(&format!("{command} ({})", seconds(started.elapsed())));
            match &ran {
                Ok(CommandOutput { exit, stderr, .. }) if *exit != Exit::ExitStatus(0) => self.tell_end(stderr),
                Err(RunError::TimedOut { stderr, .. }) => self.tell_end(stderr),
                _ => {}
            }
        }
        ran
    }
}

impl DebugRunner<'_> {
    fn tell_end(&self, stderr: &[u8]) {
        let stderr = redact_credentials(&String::from_utf8_lossy(stderr));
        let lines: Vec<&str> = stderr.lines().collect();
        let end = &lines[lines.len().saturating_sub(LINES_MAX)..];
        let shown = end.iter().map(|line| format!("  {}", Escaped(line)));
        (self.tell)(&format!(
            "it wrote:\n{}",
            shown.collect::<Vec<_>>().join("\n")
        ));
    }
}
