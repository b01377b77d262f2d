//! `--debug`.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use skopeo_index::command::{CommandLimits, RunError};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{CommandRunner, redactor};
use skopeo_index_core::escape::Escaped;
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoDebug, SkopeoOptions};

use super::progress::seconds;
use super::shell;

/// How many lines of a failed command's stderr are printed, from its end.
const MAX_LINES: usize = 100;

/// How much of a line is printed, from its start: half of what is kept, because a secret may
/// stand across the end of that.
const MAX_LINE: usize = 16 << 10;

/// Runs skopeo; with `--debug` prints each command, and its stderr if it fails.
pub(super) struct DebugRunner<'a> {
    pub(super) skopeo: &'a dyn CommandRunner,
    pub(super) print: &'a (dyn Fn(&str) + Sync),
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
        let result = self.skopeo.run(command, options, limits, cancel);
        if options.debug == SkopeoDebug::On {
            let argv = command.argv(options, limits.timeout);
            let program = std::iter::once(self.program().as_os_str());
            let line = shell::command_line(program.chain(argv.iter().map(OsString::as_os_str)));
            (self.print)(&format!("{line} ({})", seconds(started.elapsed())));
            match &result {
                Ok(CommandOutput { exit, stderr, .. }) if *exit != Exit::Status(0) => {
                    self.print_stderr(stderr, options);
                }
                Err(RunError::TimedOut { stderr, .. }) => self.print_stderr(stderr, options),
                _ => {}
            }
        }
        result
    }

    fn program(&self) -> &Path {
        self.skopeo.program()
    }
}

impl DebugRunner<'_> {
    fn print_stderr(&self, stderr: &[u8], options: &SkopeoOptions) {
        let redactor = redactor(options);
        let stderr = String::from_utf8_lossy(stderr);
        let lines: Vec<_> = stderr.lines().collect();
        let end = lines[lines.len().saturating_sub(MAX_LINES)..].iter();
        let end = end.map(|line| match line.len() {
            0..=MAX_LINE => Cow::Borrowed(*line),
            _ => redactor.redact_start(line, MAX_LINE).into(),
        });
        let clean = redactor.redact(&end.collect::<Vec<_>>().join("\n"));
        let shown = clean.lines().map(|line| format!("  {}", Escaped(line)));
        let shown = shown.collect::<Vec<_>>().join("\n");
        (self.print)(&format!("stderr of skopeo:\n{shown}"));
    }
}
