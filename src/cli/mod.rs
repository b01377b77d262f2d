//! The command line: one file a subcommand.
//!
//! Data goes to stdout, everything else to stderr. [`ExitStatus`] has the exit
//! statuses.

mod audit;
mod cache;
mod dry_run;
mod exit;
mod fetch;
mod generate;
mod hint;
mod input;
mod inspect;
mod options;
mod output;
mod precedence;
mod progress;
mod resolve;
mod service;
mod source;
mod states;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::ExitStatus;
use output::CliError;

use skopeo_index_core::osbuild::SOURCE;

/// Fetches container image indexes by digest, and proves what lands in the cache
#[derive(Debug, Parser)]
#[command(name = "skopeo-index", version, max_term_width = 100, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fetch(fetch::Args),
    Resolve(resolve::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Audit(audit::Args),
    States(states::Args),
    Completions(generate::Completions),
    Man(generate::Man),
}

/// Runs the command line and gives the exit status.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let done = if is_service(&args) {
        parsed(&args).and_then(|args| service::run(&args))
    } else {
        parsed(&args).and_then(command)
    };
    match done {
        Ok(status) => status.into(),
        Err(problem) => {
            error.print();
            problem.status.into()
        }
    }
}

/// Whether an osbuild host calls: by the source's name, or with its socket.
fn is_service(args: &[OsString]) -> bool {
    let name = args.first().and_then(|path| Path::new(path).file_name());
    let first = args.get(1).map(|argument| argument.to_string_lossy());
    name.is_some_and(|name| name == SOURCE)
        || first.is_some_and(|first| first.starts_with("--service-"))
}

fn parsed<P: Parser>(args: &[OsString]) -> Result<P, CliError> {
    P::try_parse_from(args).map_err(|usage| {
        // Nothing helps where it can't be printed.
        let _closed = usage.print();
        CliError::silent(if usage.use_stderr() {
            ExitStatus::Usage
        } else {
            ExitStatus::Done
        })
    })
}

fn command(cli: Cli) -> Result<ExitStatus, CliError> {
    match cli.command {
        Command::Fetch(args) => fetch::run(args),
        Command::Resolve(args) => resolve::run(args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::States(args) => states::run(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    }
}
