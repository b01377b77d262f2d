//! The command line: one file a subcommand.
//!
//! Data goes to stdout, everything else to stderr. Exit statuses are in
//! [`exit`].

mod exit;
mod fetch;
mod generate;
mod hint;
mod input;
mod inspect;
mod options;
mod output;
mod progress;
mod resolve;
mod states;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::Status;

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
    States(states::Args),
    Completions(generate::Completions),
    Man(generate::Man),
}

/// Runs the command line and gives the exit status.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(usage) => {
            // Nothing helps where stderr is closed.
            let _closed = usage.print();
            return if usage.use_stderr() {
                Status::Usage.into()
            } else {
                Status::Done.into()
            };
        }
    };
    let done = match cli.command {
        Command::Fetch(args) => fetch::run(args),
        Command::Resolve(args) => resolve::run(args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::States(args) => states::run(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    };
    match done {
        Ok(status) => status.into(),
        Err(problem) => {
            problem.tell();
            problem.status.into()
        }
    }
}
