//! `skopeo-index completions`, generated from the definition of the command line.

use clap::{Arg, Command, CommandFactory};
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
    let mut command = completed(args.shell).name(name);
    clap_complete::generate(args.shell, &mut command, name, &mut bytes);
    // The lines that register the function for the program.
    let (end, program_end) = (format!(" {BASH_NAME}\n"), format!(" {PROGRAM}\n"));
    let script = String::from_utf8_lossy(&bytes).replace(&end, &program_end);
    let previous = [BASH_PREVIOUS, BASH_EQUALS].concat();
    output::bytes(script.replace(BASH_PREVIOUS, &previous).into_bytes())
}

/// The command line, with values that its parsers don't list, and without what the script of a
/// shell gets wrong.
fn completed(shell: Shell) -> Command {
    let command = Cli::command();
    // fish would take a page `help` for the command.
    let help = Command::new("help").about("Print help of a subcommand");
    let help = help.subcommands(shown(&command).map(page));
    // And so with `man`.
    let pages = shown(&command).filter(|command| command.get_name() != "man");
    let pages: Vec<_> = pages.map(page).collect();
    let command = command
        .disable_help_subcommand(true)
        .mut_subcommand("man", |man| with_subcommands(&man, pages))
        .mut_subcommands(|command| {
            let command = command.mut_args(|arg| match arg.is_require_equals_set() {
                true => arg.value_parser(["true", "false"]),
                false => arg,
            });
            match shell {
                Shell::Fish => with_values_as_commands(command),
                Shell::Zsh => command.mut_args(with_escaped_value_names),
                _ => command,
            }
        });
    command.subcommand(help.disable_help_flag(true).disable_help_subcommand(true))
}

/// A command with these subcommands in place of its arguments.
fn with_subcommands(command: &Command, subcommands: Vec<Command>) -> Command {
    page(command)
        .disable_help_flag(false)
        .args(command.get_opts().cloned())
        .subcommands(subcommands)
}

/// The script of fish completes arguments with files, whatever values they have.
fn with_values_as_commands(command: Command) -> Command {
    let arguments = command.get_positionals();
    let values = arguments.flat_map(|argument| argument.get_possible_values());
    let values: Vec<_> = values.map(|value| leaf(value.get_name())).collect();
    match values.is_empty() {
        true => command,
        false => with_subcommands(&command, values),
    }
}

/// The script of zsh has the names of values as they are, between colons.
fn with_escaped_value_names(arg: Arg) -> Arg {
    let names = arg.get_value_names().unwrap_or_default().iter();
    let names: Vec<_> = names.map(|name| name.replace(':', r"\:")).collect();
    match names.is_empty() {
        true => arg,
        false => arg.value_names(names.into_iter().map(|name| &*name.leak())),
    }
}

/// A command without arguments, as `man` names its page.
fn page(command: &Command) -> Command {
    leaf(command.get_name())
        .about(command.get_about().cloned().unwrap_or_default())
        .subcommands(shown(command).map(page))
}

/// A command with a name alone.
fn leaf(name: &str) -> Command {
    // clap takes names that live as long as the program.
    Command::new(&*name.to_owned().leak())
        .disable_help_subcommand(true)
        .disable_help_flag(true)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    let all = command.get_subcommands();
    all.filter(|command| !command.is_hide_set())
}
