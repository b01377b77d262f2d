//! Usage errors whose cause clap can't know: options of related tools, and values that came
//! from a variable.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::output::CliError;

/// Options of skopeo, podman, crane and docker, and what to use here.
const FOREIGN_OPTIONS: &[(&[&str], &str)] = &[
    (
        &[
            "--username",
            "--password",
            "--registry-token",
            "--src-creds",
        ],
        "pass --creds USER --password-stdin, or --authfile FILE",
    ),
    (
        &[
            "--insecure",
            "--insecure-registry",
            "--plain-http",
            "--src-tls-verify",
        ],
        "use --tls-verify=false",
    ),
    (
        &[
            "--platform",
            "--override-arch",
            "--override-os",
            "--arch",
            "--os",
            "--all",
        ],
        "an index lists every platform and is fetched whole; `skopeo-index inspect --platform` \
         prints the digest of one",
    ),
];

/// A better message for a usage error of clap, if there is one.
pub(super) fn usage_error(error: &clap::Error, args: &[OsString]) -> Option<CliError> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg)?;
    if error.kind() == ErrorKind::UnknownArgument {
        let name = argument.split('=').next().unwrap_or(argument);
        let (_, tip) = FOREIGN_OPTIONS
            .iter()
            .find(|(names, _)| names.contains(&name))?;
        return Some(CliError::usage(format!(
            "unexpected argument '{name}'; {tip}"
        )));
    }
    let option = argument.strip_prefix("--")?.split([' ', '[', '=']).next()?;
    let variable = format!("SKOPEO_INDEX_{}", option.to_uppercase().replace('-', "_"));
    // The variable of an option that can be repeated has several values.
    let variable = match option {
        "label" => variable + "S",
        _ => variable,
    };
    let value = text(ContextKind::InvalidValue)?;
    // An option that was typed takes precedence over its variable.
    let (long, short) = (format!("--{option}"), format!("-{}", &option[..1]));
    let typed = |argument: &OsString| {
        let argument = argument.to_string_lossy();
        let name = argument.split('=').next().unwrap_or_default();
        name == long || argument.starts_with(&short)
    };
    let set = std::env::var(&variable).ok()?;
    let is_set = set == value || option == "label" && set.split(',').any(|part| part == value);
    if !is_set || args.iter().any(typed) {
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
