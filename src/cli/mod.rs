//! The command line: one file per subcommand.
//!
//! Data goes to stdout, everything else to stderr. [`exit::ExitStatus`] lists the exit
//! statuses.

mod audit;
mod cache;
mod credentials;
mod debug;
mod dry_run;
mod exclusive;
mod exit;
mod fetch;
mod generate;
mod hint;
mod image_args;
mod input;
mod inspect;
mod list;
mod location;
mod man;
mod object;
mod options;
mod output;
mod progress;
mod prune;
mod resolve;
mod schema;
mod service;
mod shell;
mod states;
mod table;
mod tips;
mod typed;
mod values;
mod verifiers;
mod verify;
mod version;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{ArgAction, Command, CommandFactory, Parser, Subcommand};
use skopeo_index_core::osbuild::SOURCE;

use exit::ExitStatus;
use output::CliError;

const PROGRAM: &str = "skopeo-index";

/// Fetches container image indexes by digest, and verifies what lands in the cache
#[derive(Parser)]
#[command(name = "skopeo-index", version, max_term_width = 100, after_help = exit::help())]
#[command(disable_version_flag = true)]
struct Cli {
    /// Print version; --version also prints commit, engines and skopeo
    // skopeo's short form is -v.
    #[arg(short = 'V', short_alias = 'v', long, action = ArgAction::Version, display_order = 1000)]
    version: Option<bool>,
    #[command(subcommand)]
    subcommand: CliCommand,
}

#[derive(Subcommand)]
enum CliCommand {
    Fetch(fetch::Args),
    Resolve(resolve::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    List(list::Args),
    Prune(prune::Args),
    Audit(audit::Args),
    Schema(schema::Args),
    States(states::Args),
    Completions(generate::Completions),
    Man(man::Args),
    /// Print version
    #[command(hide = true)]
    Version,
}

/// Runs the command line and returns its exit status.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let result = if is_service(&args) {
        let served = parse(&args).and_then(|args| service::run(&args));
        served.map(|()| ExitStatus::Success)
    } else {
        parse(&args).and_then(run_command)
    };
    let status = result.unwrap_or_else(|error| {
        error.print();
        error.status
    });
    output::finish(status).into()
}

/// Whether an osbuild host started the program: by the source's name, or with a socket.
fn is_service(args: &[OsString]) -> bool {
    let name = args.first().and_then(|path| Path::new(path).file_name());
    let first = args.get(1).map(|argument| argument.to_string_lossy());
    name.is_some_and(|name| name == SOURCE)
        || first.is_some_and(|first| first.starts_with("--service-"))
}

/// Parses the command line. An empty variable means unset.
fn parse<P: Parser>(args: &[OsString]) -> Result<P, CliError> {
    let parse = |is_unset: &dyn Fn(&OsStr) -> bool| {
        let command = without_variables(P::command(), is_unset);
        let matches = command.try_get_matches_from(args);
        matches.and_then(|mut matches| P::from_arg_matches_mut(&mut matches))
    };
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    parse(&is_empty).map_err(|error| {
        if let Some(tip) = tips::usage_error(&error, args) {
            return tip;
        }
        if error.use_stderr() {
            output::print_stderr(error.to_string().trim_end());
            return CliError::silent(ExitStatus::Usage);
        }
        let is_long = args.iter().any(|argument| argument == "--version");
        let printed = match error.kind() {
            ErrorKind::DisplayVersion if is_long => print_version(error.to_string().trim_end()),
            ErrorKind::DisplayVersion => output::line(error.to_string().trim_end()),
            // Help names every variable.
            _ => {
                let help = parse(&|_| false).err().unwrap_or(error);
                help.print()
                    .map_err(|error| CliError::other(format!("cannot write to stdout: {error}")))
            }
        };
        let success = CliError::silent(ExitStatus::Success);
        printed.err().unwrap_or(success)
    })
}

/// A command whose options don't read some variables.
fn without_variables(command: Command, is_unset: &dyn Fn(&OsStr) -> bool) -> Command {
    let command = command.mut_args(|arg| match arg.get_env().is_some_and(is_unset) {
        true => arg.env(Resettable::Reset),
        false => arg,
    });
    command.mut_subcommands(|subcommand| without_variables(subcommand, is_unset))
}

fn run_command(cli: Cli) -> Result<ExitStatus, CliError> {
    match cli.subcommand {
        CliCommand::Fetch(args) => return fetch::run(args),
        CliCommand::Resolve(args) => return resolve::run(&args),
        CliCommand::Verify(args) => return verify::run(&args),
        CliCommand::Prune(args) => return prune::run(&args),
        CliCommand::Audit(args) => return audit::run(&args),
        CliCommand::Inspect(args) => inspect::run(&args),
        CliCommand::List(args) => list::run(&args),
        CliCommand::Schema(args) => schema::run(&args),
        CliCommand::States(args) => states::run(&args),
        CliCommand::Completions(args) => generate::completions(&args),
        CliCommand::Man(args) => man::run(&args),
        CliCommand::Version => print_version(Cli::command().render_version().trim_end()),
    }?;
    Ok(ExitStatus::Success)
}

fn print_version(name_and_version: &str) -> Result<(), CliError> {
    output::line(&version::long(name_and_version)?)
}
