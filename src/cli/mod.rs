//! The command line: one file per subcommand.
//!
//! Data goes to stdout, everything else to stderr. [`exit::ExitStatus`] lists the exit
//! statuses.

mod audit;
mod cache;
mod debug;
mod dry_run;
mod exclusive;
mod exit;
mod fetch;
mod generate;
mod hint;
mod input;
mod inspect;
mod location;
mod options;
mod output;
mod progress;
mod resolve;
mod service;
mod shell;
mod states;
mod table;
mod tips;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use skopeo_index::os::best_effort;
use skopeo_index_core::osbuild::SOURCE;

use exit::ExitStatus;
use output::CliError;

/// Fetches container image indexes by digest, and verifies what lands in the cache
#[derive(Debug, Parser)]
#[command(name = "skopeo-index", version, max_term_width = 100, after_help = exit::HELP)]
#[command(disable_version_flag = true)]
struct Cli {
    /// Print version
    // skopeo's short form is -v.
    #[arg(short = 'V', short_alias = 'v', long, action = ArgAction::Version, display_order = 1000)]
    version: Option<bool>,
    #[command(subcommand)]
    subcommand: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Fetch(fetch::Args),
    Resolve(resolve::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Audit(audit::Args),
    States(states::Args),
    Completions(generate::Completions),
    Man(generate::Man),
    /// Print version
    #[command(hide = true)]
    Version,
}

/// Runs the command line and returns its exit status.
#[must_use]
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let result = if is_service(&args) {
        parse(&args).and_then(|args| service::run(&args))
    } else {
        parse(&args).and_then(run_command)
    };
    let status = result.unwrap_or_else(|error| {
        error.print();
        error.status
    });
    status.into()
}

/// Whether an osbuild host started the program: by the source's name, or with a socket.
fn is_service(args: &[OsString]) -> bool {
    let name = args.first().and_then(|path| Path::new(path).file_name());
    let first = args.get(1).map(|argument| argument.to_string_lossy());
    name.is_some_and(|name| name == SOURCE)
        || first.is_some_and(|first| first.starts_with("--service-"))
}

fn parse<P: Parser>(args: &[OsString]) -> Result<P, CliError> {
    P::try_parse_from(args).map_err(|usage| {
        if let Some(error) = tips::usage_error(&usage, args) {
            return error;
        }
        // The exit status tells enough where stderr is closed.
        best_effort(usage.print());
        CliError::silent(if usage.use_stderr() {
            ExitStatus::Usage
        } else {
            ExitStatus::Success
        })
    })
}

fn run_command(cli: Cli) -> Result<ExitStatus, CliError> {
    match cli.subcommand {
        CliCommand::Fetch(args) => fetch::run(args),
        CliCommand::Resolve(args) => resolve::run(args),
        CliCommand::Inspect(args) => inspect::run(&args),
        CliCommand::Verify(args) => verify::run(&args),
        CliCommand::Audit(args) => audit::run(&args),
        CliCommand::States(args) => states::run(&args),
        CliCommand::Completions(args) => generate::completions(&args),
        CliCommand::Man(args) => generate::man(&args),
        CliCommand::Version => {
            output::line(Cli::command().render_version().trim_end())?;
            Ok(ExitStatus::Success)
        }
    }
}
