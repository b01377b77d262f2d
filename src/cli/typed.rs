//! Commands in messages that work when they are pasted: with the options that were typed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::LazyLock;

use clap::parser::ValueSource;
use clap::{Arg, Command, CommandFactory};
use skopeo_index_core::request::{ImageName, Location, TlsVerify};

use super::options::REGISTRY_HEADING;
use super::{Cli, shell, without_variables};

const CREDS: &str = "--creds";
const PASSWORD_STDIN: &str = "--password-stdin";

/// Options that a command takes from the image's location instead. The password is asked
/// for: stdin can be read only once.
const LEFT_OUT: [&str; 4] = [
    "tls_verify",
    "transport",
    "storage_location",
    "password_stdin",
];

/// `skopeo-index resolve` of an image.
pub(super) fn resolve_command(location: &Location, name: &ImageName) -> String {
    let mut argv = vec![program(), "resolve".into()];
    argv.extend_from_slice(&REGISTRY_OPTIONS);
    argv.extend(match location {
        Location::Docker { tls_verify } => match tls_verify {
            TlsVerify::Never => Some("--tls-verify=false".into()),
            TlsVerify::Always => Some("--tls-verify=true".into()),
            TlsVerify::Unset | TlsVerify::ItemTrue => None,
        },
        Location::ContainersStorage { .. } => None,
    });
    argv.push(location.reference(name).into());
    shell::command_line(argv)
}

/// This command line, with commands in place of some of its arguments.
pub(super) fn command_with(replaced: &[(&str, String)]) -> String {
    let command = Cli::command();
    let args = command.get_subcommands().flat_map(Command::get_arguments);
    let takes_word = |arg: &&Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    let options = args.filter(takes_word).filter_map(Arg::get_long);
    let options: Vec<String> = options.map(|long| format!("--{long}")).collect();
    let mut words = vec![shell::quote(&program())];
    // The option whose value is the next word.
    let mut option = None;
    for word in std::env::args_os().skip(1) {
        let is_replaced = |(text, _): &&(&str, _)| option.is_none() && word == *text;
        let command = replaced.iter().find(is_replaced);
        words.push(match command {
            _ if word == PASSWORD_STDIN => continue,
            Some((_, command)) => format!("\"$({command})\""),
            None if option == Some(CREDS) => shell::quote(&without_password(&word)),
            None if word.as_bytes().starts_with(b"--creds=") => {
                shell::quote(&without_password(&word))
            }
            None => shell::quote(&word),
        });
        let is_word = |option: &&String| word == option.as_str();
        option = options.iter().find(is_word).map(String::as_str);
    }
    words.join(" ")
}

/// The program, as it was started.
fn program() -> OsString {
    let first = std::env::args_os().next();
    first.unwrap_or_else(|| "skopeo-index".into())
}

static REGISTRY_OPTIONS: LazyLock<Vec<OsString>> = LazyLock::new(registry_options);

/// The typed options of registries and skopeo, which `resolve` has as well.
fn registry_options() -> Vec<OsString> {
    let command = without_variables(Cli::command(), &|_| true).ignore_errors(true);
    let matches = command.clone().try_get_matches_from(std::env::args_os());
    let matches = matches.unwrap_or_default();
    let (Some((_, typed)), Some(resolve)) =
        (matches.subcommand(), command.find_subcommand("resolve"))
    else {
        return Vec::new();
    };
    let mut options = Vec::new();
    for arg in resolve.get_arguments() {
        let (id, heading) = (arg.get_id().as_str(), arg.get_help_heading());
        let is_typed = matches!(typed.try_contains_id(id), Ok(true))
            && typed.value_source(id) == Some(ValueSource::CommandLine);
        let is_ours = heading == Some(REGISTRY_HEADING) && !LEFT_OUT.contains(&id);
        let (true, true, Some(long)) = (is_typed, is_ours, arg.get_long()) else {
            continue;
        };
        let mut option = OsString::from(format!("--{long}"));
        let mut value = typed.get_raw(id).and_then(|mut values| values.next());
        value = value.filter(|_| arg.get_action().takes_values());
        if let Some(value) = value {
            option.push("=");
            option.push(value);
        }
        options.push(if id == "creds" {
            without_password(&option)
        } else {
            option
        });
    }
    options
}

/// `USER` of `USER:PASSWORD`.
fn without_password(word: &OsStr) -> OsString {
    let user = word.as_bytes().split(|byte| *byte == b':').next();
    OsString::from_vec(user.unwrap_or_default().to_owned())
}
