//! Usage errors whose cause clap can't know: options of related tools, and values that came
//! from a variable.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::output::CliError;

/// Options of skopeo, podman, crane and docker, and what to use here.
const FOREIGN_OPTIONS: [(&str, &str); 3] = [
    (
        "--username --password --registry-token --src-creds",
        "pass --creds USER --password-stdin, or --authfile FILE",
    ),
    (
        "--insecure --insecure-registry --plain-http --src-tls-verify",
        "use --tls-verify=false",
    ),
    (
        "--platform --override-arch --override-os --arch --os --all",
        "an index lists every platform and is fetched whole; `skopeo-index inspect --platform` \
         prints the digest of one",
    ),
];

/// A better message for a usage error of clap, if there is one.
pub(super) fn usage_error(error: &clap::Error, args: &[OsString]) -> Option<CliError> {
    match error.kind() {
        ErrorKind::MissingRequiredArgument => return without_audit_log(error, args),
        ErrorKind::InvalidUtf8 => return not_utf8(args),
        _ => {}
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg)?;
    if error.kind() == ErrorKind::UnknownArgument {
        let name = argument.split('=').next().unwrap_or(argument);
        let is_here = |(names, _): &(&str, _)| names.split(' ').any(|known| known == name);
        let (_, tip) = FOREIGN_OPTIONS.into_iter().find(is_here)?;
        return Some(CliError::usage(format!(
            "unexpected argument '{name}'; {tip}"
        )));
    }
    let option = argument.strip_prefix("--")?.split([' ', '[', '=']).next()?;
    let variable = variable(option);
    let value = text(ContextKind::InvalidValue)?;
    let set = std::env::var(&variable).ok()?;
    let is_set = set == value || option == "label" && set.split(',').any(|part| part == value);
    if !is_set || is_typed(option, args) {
        return None;
    }
    let reason = std::error::Error::source(error).map_or_else(
        || format!("see --{option} in --help for its values"),
        ToString::to_string,
    );
    let value = skopeo_index_core::escape::quote(value);
    Some(CliError::usage(format!(
        "invalid value {value} in {variable}: {reason}"
    )))
}

/// A variable whose option needs `--audit-log`, which is missing.
fn without_audit_log(error: &clap::Error, args: &[OsString]) -> Option<CliError> {
    let is_missing = match error.get(ContextKind::InvalidArg)? {
        ContextValue::Strings(missing) => missing.iter().any(|it| it.starts_with("--audit-log ")),
        _ => false,
    };
    let is_set = |option: &&str| {
        let value = std::env::var_os(variable(option));
        value.is_some_and(|value| !value.is_empty()) && !is_typed(option, args)
    };
    let mut options = ["checkpoint", "label", "origin"]
        .into_iter()
        .filter(|_| is_missing);
    let variable = variable(options.find(is_set)?);
    Some(CliError::usage(format!(
        "{variable} needs --audit-log FILE"
    )))
}

/// What set an option, for messages: itself on the command line, or its variable.
pub(super) fn set_by(option: &str) -> String {
    let args: Vec<OsString> = std::env::args_os().collect();
    match is_typed(option, &args) {
        true => format!("--{option}"),
        false => variable(option),
    }
}

/// The variables that are not UTF-8, where no argument is to blame.
fn not_utf8(args: &[OsString]) -> Option<CliError> {
    let variables = std::env::vars_os().filter(|(_, value)| value.to_str().is_none());
    let names = variables.filter_map(|(name, _)| name.into_string().ok());
    let names: Vec<_> = names.filter(|it| it.starts_with("SKOPEO_INDEX_")).collect();
    let is_typed = args.iter().any(|argument| argument.to_str().is_none());
    (!names.is_empty() && !is_typed)
        .then(|| CliError::usage(format!("invalid UTF-8 in {}", names.join(" or "))))
}

/// The variable of an option.
fn variable(option: &str) -> String {
    let variable = format!("SKOPEO_INDEX_{}", option.to_uppercase().replace('-', "_"));
    // That of an option that can be repeated has several values.
    match option {
        "label" => variable + "S",
        _ => variable,
    }
}

/// Whether an option was typed, which takes precedence over its variable.
fn is_typed(option: &str, args: &[OsString]) -> bool {
    let (long, short) = (format!("--{option}"), format!("-{}", &option[..1]));
    args.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        let name = argument.split('=').next().unwrap_or_default();
        name == long || argument.starts_with(&short)
    })
}
