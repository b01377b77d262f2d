//! `skopeo-index completions`, generated from the definition of the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use super::output::{self, CliError};
use super::{Cli, PROGRAM};

/// The program's name in the completions of bash.
const BASH_NAME: &str = "skopeo_index";

/// Generate shell completions
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(args: &Completions) -> Result<(), CliError> {
    // With a hyphen in the name, clap_complete's labels don't match each other, and nothing
    // is completed after the first word.
    let name = match args.shell {
        Shell::Bash => BASH_NAME,
        _ => PROGRAM,
    };
    let mut bytes = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command().name(name), name, &mut bytes);
    // The lines that register the function for the program.
    let (end, program_end) = (format!(" {BASH_NAME}\n"), format!(" {PROGRAM}\n"));
    let script = String::from_utf8_lossy(&bytes).replace(&end, &program_end);
    output::bytes(script.into_bytes())
}
