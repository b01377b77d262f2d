//! `skopeo-index completions` and `skopeo-index man`, generated from the definition of
//! the command line.

use clap::CommandFactory;
use clap_complete::Shell;
use skopeo_index::os::best_effort;
use skopeo_index_core::escape::quote;

use super::Cli;
use super::exit::ExitStatus;
use super::output::{self, CliError};

const PROGRAM: &str = "skopeo-index";

/// The program's name in the completions of bash.
const BASH_NAME: &str = "skopeo_index";

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
    let (mut bytes, mut command) = (Vec::new(), Cli::command());
    if args.shell != Shell::Bash {
        clap_complete::generate(args.shell, &mut command, PROGRAM, &mut bytes);
        return write(bytes);
    }
    // With a hyphen in the name, clap_complete's labels don't match each other, and nothing
    // is completed after the first word.
    let mut command = command.name(BASH_NAME);
    clap_complete::generate(args.shell, &mut command, BASH_NAME, &mut bytes);
    let script = String::from_utf8_lossy(&bytes);
    let registered = script.lines().map(|line| match line.trim_start() {
        line if line.starts_with("complete -F ") => {
            line.replace(&format!(" {BASH_NAME}"), &format!(" {PROGRAM}"))
        }
        _ => line.to_owned(),
    });
    write(registered.collect::<Vec<_>>().join("\n").into_bytes())
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
    // Writing to memory succeeds.
    best_effort(clap_mangen::Man::new(page).render(&mut bytes));
    write(bytes)
}

fn write(bytes: Vec<u8>) -> Result<ExitStatus, CliError> {
    output::bytes(bytes)?;
    Ok(ExitStatus::Success)
}
