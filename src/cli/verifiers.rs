//! Options of verifiers, of the command line and the osbuild service.

use std::fmt::Display;
use std::time::Duration;

use clap::Args;
use skopeo_index::verifier::{VerifierPrograms, VerifierRunner};
use skopeo_index_core::skopeo::SkopeoOptions;
use skopeo_index_core::verifier::{VerifierCommand, Verifiers};

use super::output::CliError;
use super::tips;
use super::values::timeout;

/// The programs that must approve the bytes.
#[derive(Debug, Args)]
pub(super) struct VerifierArgs {
    /// Program that must approve the bytes before they are committed, by exit status 0, with
    /// its arguments: {name}, {digest}, {reference}, and {file} for a copy of the bytes, which
    /// is also its stdin. Repeatable: each must approve them
    #[arg(
        long = "verifier", value_name = "COMMAND", env = "SKOPEO_INDEX_VERIFIER",
        value_parser = verifiers
    )]
    verifiers: Vec<VerifierLines>,
    /// Timeout for each run of a verifier
    #[arg(
        long = "verifier-timeout", value_name = "DURATION",
        env = "SKOPEO_INDEX_VERIFIER_TIMEOUT",
        default_value = "1m", value_parser = timeout
    )]
    timeout: Duration,
}

impl VerifierArgs {
    /// The commands, in their order.
    pub(super) fn commands(&self) -> impl Iterator<Item = &VerifierCommand> {
        self.verifiers.iter().flat_map(|lines| &lines.0)
    }

    /// The verifiers, with their programs; `None` without one.
    pub(super) fn find(
        &self,
        options: &SkopeoOptions,
    ) -> Result<Option<Box<dyn VerifierRunner>>, CliError> {
        let usage =
            |error: &dyn Display| CliError::usage(format!("{}: {error}", tips::set_by("verifier")));
        let verifiers = Verifiers::try_from(self.commands().cloned().collect::<Vec<_>>());
        let verifiers = verifiers.map_err(|error| usage(&error))?;
        if verifiers.is_empty() {
            return Ok(None);
        }
        let found = VerifierPrograms::find(verifiers, self.timeout, options.clone());
        let found = found.map_err(|error| usage(&error))?;
        Ok(Some(Box::new(found)))
    }
}

/// Verifiers, one per line: a variable can hold several.
#[derive(Clone, Debug)]
struct VerifierLines(Vec<VerifierCommand>);

/// Splits commands into words as a shell does, which runs none of them.
fn verifiers(text: &str) -> Result<VerifierLines, String> {
    // An empty argument is one that a script forgot, not the wish for no verifier.
    let text = if text.trim().is_empty() { "''" } else { text };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let parse = |line: &str| {
        let words = shell_words::split(line).map_err(|error| error.to_string())?;
        VerifierCommand::try_from(words).map_err(|error| error.to_string())
    };
    lines
        .map(parse)
        .collect::<Result<_, _>>()
        .map(VerifierLines)
}
