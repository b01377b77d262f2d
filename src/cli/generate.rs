//! `skopeo-index completions` and `skopeo-index man`, generated from the definition of
//! the command line.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;
use skopeo_index_core::escape::quote;

use super::Cli;
use super::exit::ExitStatus;
use super::output::CliError;

/// Generate shell completions
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// Print a man page
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Subcommand of the page, like `fetch`
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(super) fn completions(args: &Completions) -> Result<ExitStatus, CliError> {
    let mut bytes = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "skopeo-index", &mut bytes);
    write(&bytes)
}

pub(super) fn man(args: &Man) -> Result<ExitStatus, CliError> {
    let mut command = Cli::command();
    command.build();
    let page = match &args.command {
        None => command,
        Some(name) => {
            let unknown = || CliError::usage(format!("no such command: {}", quote(name)));
            command.find_subcommand(name).ok_or_else(unknown)?.clone()
        }
    };
    let mut bytes = Vec::new();
    clap_mangen::Man::new(page).render(&mut bytes)?;
    write(&bytes)
}

fn write(bytes: &[u8]) -> Result<ExitStatus, CliError> {
    io::Write::write_all(&mut io::stdout().lock(), bytes)?;
    Ok(ExitStatus::Success)
}
