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
    let (mut bytes, mut command) = (Vec::new(), Cli::command());
    if args.shell != Shell::Bash {
        clap_complete::generate(args.shell, &mut command, PROGRAM, &mut bytes);
        return output::bytes(bytes);
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
    output::bytes(registered.collect::<Vec<_>>().join("\n").into_bytes())
}
