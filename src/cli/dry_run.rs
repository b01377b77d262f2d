//! `skopeo-index fetch --dry-run`: reads the cache, and changes nothing.

use std::ffi::OsString;
use std::path::Path;

use serde_json::json;
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::CommandRunner;
use skopeo_index::store::Store;
use skopeo_index_core::machine::{Network, ObjectStatus};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::method_commands;

use super::exit::ExitStatus;
use super::options::{Format, RunArgs, SkopeoArgs};
use super::output::{self, CliError};
use super::shell;

/// Stands for the directory of an attempt (method copy).
const STAGING: &str = "STAGING";

pub(super) fn run(
    run: &RunArgs,
    skopeo: &SkopeoArgs,
    format: Format,
    store: &Store,
    requests: &[Request],
    cancel: &CancelToken,
) -> Result<ExitStatus, CliError> {
    let binary = skopeo.binary();
    let program = binary.program();
    for request in requests {
        cancel
            .cancelled()
            .map_or(Ok(()), |reason| Err(CliError::from(reason)))?;
        let digest = request.digest();
        let (cache, commands) = match store.read(digest)?.status(digest) {
            ObjectStatus::Intact { .. } | ObjectStatus::NotAnIndex(_) => ("cached", Vec::new()),
            ObjectStatus::Missing => ("missing", commands(run, skopeo, request)),
            ObjectStatus::Corrupt => ("corrupt", commands(run, skopeo, request)),
        };
        match format {
            Format::Json => output::json_line(&json!({
                "reference": request.to_string(), "source": request.skopeo_source(),
                "cache": cache,
                "commands": commands.iter().map(|argv| words(program, argv)).collect::<Vec<_>>(),
            }))?,
            Format::Text if commands.is_empty() => output::line(&format!("{cache}\t{request}"))?,
            Format::Text => {
                let lines = commands
                    .iter()
                    .map(|argv| shell::command_line(program, argv));
                let lines = lines.collect::<Vec<_>>().join(" && ");
                output::line(&format!("{cache}\t{request}\t{lines}"))?;
            }
        }
    }
    Ok(ExitStatus::Success)
}

/// The commands of a miss.
fn commands(run: &RunArgs, skopeo: &SkopeoArgs, request: &Request) -> Vec<Vec<OsString>> {
    let policy = run.policy(skopeo.attempts());
    if policy.network == Network::Offline {
        return Vec::new();
    }
    let dir = Path::new(STAGING);
    let file = &dir.join("manifest.json");
    let commands = method_commands(policy.method, request, dir, file);
    let (options, timeout) = (skopeo.options(), skopeo.command_timeout());
    let argv = commands
        .iter()
        .map(|command| command.argv(&options, timeout));
    argv.collect()
}

fn words(program: &Path, argv: &[OsString]) -> Vec<String> {
    let program = std::iter::once(program.as_os_str());
    let words = program.chain(argv.iter().map(OsString::as_os_str));
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}
