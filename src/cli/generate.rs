//! `skopeo-index completions`, generated from the definition of the command line.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::output::{self, CliError};
use super::{Cli, PROGRAM};

/// The program's name in the completions of bash.
const BASH_NAME: &str = "skopeo_index";

/// Where a completion of bash learns which word is before the completed one.
const BASH_PREVIOUS: &str = "    prev=\"$3\"\n";

/// For bash, `=` and the value after it are words of their own. --tls-verify has no value
/// without it.
const BASH_EQUALS: &str = r#"    if [[ "${COMP_WORDS[COMP_CWORD]}" == "=" ]]; then
        cur=""
    elif [[ "${prev}" == "=" ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    elif [[ "${prev}" == "--tls-verify" ]]; then
        prev=""
    fi
"#;

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
    clap_complete::generate(args.shell, &mut completed().name(name), name, &mut bytes);
    // The lines that register the function for the program.
    let (end, program_end) = (format!(" {BASH_NAME}\n"), format!(" {PROGRAM}\n"));
    let script = String::from_utf8_lossy(&bytes).replace(&end, &program_end);
    let previous = [BASH_PREVIOUS, BASH_EQUALS].concat();
    output::bytes(script.replace(BASH_PREVIOUS, &previous).into_bytes())
}

/// The command line, with values that its parsers don't list.
fn completed() -> Command {
    let command = Cli::command();
    // The script of fish takes a page `man` for the command.
    let pages = shown(&command).filter(|command| command.get_name() != "man");
    let pages: Vec<_> = pages.map(page).collect();
    command
        .mut_subcommand("man", |man| {
            let options: Vec<_> = man.get_opts().cloned().collect();
            let man = page(&man).disable_help_flag(false);
            man.args(options).subcommands(pages)
        })
        .mut_subcommands(|command| {
            command.mut_args(|arg| match arg.is_require_equals_set() {
                true => arg.value_parser(["true", "false"]),
                false => arg,
            })
        })
}

/// A command without arguments, as `man` names its page.
fn page(command: &Command) -> Command {
    // clap takes names that live as long as the program.
    Command::new(&*command.get_name().to_owned().leak())
        .about(command.get_about().cloned().unwrap_or_default())
        .subcommands(shown(command).map(page))
        .disable_help_subcommand(true)
        .disable_help_flag(true)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    let all = command.get_subcommands();
    all.filter(|command| !command.is_hide_set())
}
