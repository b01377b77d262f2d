//! `--debug`.

use std::time::Instant;

use super::seconds;
use crate::cancel::Cancel;
use crate::cli::output::shell;
use crate::skopeo::{Command, CommandRunner, Debug, Exit, Limits, Options, Process, Ran, RunError};
use crate::text::{Escaped, without_credentials};

/// The most lines of a failed command that are shown, from its end.
const LINES_MAX: usize = 100;

/// Runs skopeo, and with `--debug` tells what was run, and what it wrote to
/// stderr where it failed or had no end.
pub(in crate::cli) struct Loud<'a> {
    pub(in crate::cli) skopeo: &'a Process,
    pub(in crate::cli) tell: &'a (dyn Fn(&str) + Sync),
}

impl CommandRunner for Loud<'_> {
    fn run(
        &self,
        command: &Command<'_>,
        options: &Options,
        limits: &Limits<'_>,
        cancel: &Cancel,
    ) -> Result<Ran, RunError> {
        let started = Instant::now();
        let ran = self.skopeo.run(command, options, limits, cancel);
        if options.debug == Debug::On {
            let command = shell(self.skopeo.program(), &command.argv(options, limits.time));
            (self.tell)(&format!("{command} ({})", seconds(started.elapsed())));
            match &ran {
                Ok(Ran { exit, stderr, .. }) if *exit != Exit::Status(0) => self.tell_end(stderr),
                Err(RunError::TimedOut { stderr, .. }) => self.tell_end(stderr),
                _ => {}
            }
        }
        ran
    }
}

impl Loud<'_> {
    fn tell_end(&self, stderr: &[u8]) {
        let stderr = without_credentials(&String::from_utf8_lossy(stderr));
        let lines: Vec<&str> = stderr.lines().collect();
        let end = &lines[lines.len().saturating_sub(LINES_MAX)..];
        let shown = end.iter().map(|line| format!("  {}", Escaped(line)));
        (self.tell)(&format!(
            "it wrote:\n{}",
            shown.collect::<Vec<_>>().join("\n")
        ));
    }
}
