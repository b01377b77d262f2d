//! `skopeo-index fetch --dry-run`: looks at the cache, and changes nothing.

use std::ffi::OsString;
use std::path::Path;

use serde_json::json;

use super::exit::ExitStatus;
use super::options::{Format, RunArgs, SkopeoArgs};
use super::output::{self, CliError};
use skopeo_index_core::machine::{Method, Network};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::SkopeoCommand;
use skopeo_index::store::{RealDisk, Seen, Store};

/// What stands for the directory that method copy makes for each attempt.
const STAGING: &str = "STAGING";

pub(super) fn run(
    run: &RunArgs,
    skopeo: &SkopeoArgs,
    format: Format,
    store: &Store<RealDisk>,
    requests: &[Request],
) -> Result<ExitStatus, CliError> {
    let runner = skopeo.runner();
    for request in requests {
        let digest = request.digest();
        let seen = store
            .read(digest)
            .map_err(|fault| CliError::other(fault.to_string()))?;
        let (state, commands) = match seen {
            _ if seen.hashes_to(digest) => ("cached", Vec::new()),
            Seen::Absent => ("missing", commands(run, skopeo, request)),
            _ => ("corrupt", commands(run, skopeo, request)),
        };
        let typed = commands
            .iter()
            .map(|argv| output::shell(runner.program(), argv));
        let typed: Vec<String> = typed.collect();
        match format {
            Format::Json => output::json_line(&json!({
                "reference": request.to_string(), "source": request.skopeo_source(),
                "cache": state,
                "commands": commands.iter().map(|argv| words(runner.program(), argv)).collect::<Vec<_>>(),
            }))?,
            Format::Text if typed.is_empty() => output::line(&format!("{state}\t{request}"))?,
            Format::Text => {
                let typed = typed.join(" && ");
                output::line(&format!("{state}\t{request}\t{typed}"))?;
            }
        }
    }
    Ok(ExitStatus::Done)
}

/// What a fetch of something that isn't in the cache runs.
fn commands(run: &RunArgs, skopeo: &SkopeoArgs, request: &Request) -> Vec<Vec<OsString>> {
    let plan = run.plan(skopeo.attempts());
    let dir = Path::new(STAGING);
    let file = &dir.join("manifest.json");
    let commands = match (plan.network, plan.method) {
        (Network::Offline, _) => Vec::new(),
        (Network::Allowed, Method::Raw) => vec![SkopeoCommand::InspectRaw(request)],
        (Network::Allowed, Method::SkopeoCopy) => vec![
            SkopeoCommand::CopyIndex { request, to: dir },
            SkopeoCommand::InspectDir { from: dir },
            SkopeoCommand::ManifestDigest { file },
        ],
    };
    let (options, time) = (skopeo.options(), skopeo.command_timeout());
    commands
        .iter()
        .map(|command| command.argv(&options, time))
        .collect()
}

fn words(program: &Path, argv: &[OsString]) -> Vec<String> {
    let program = std::iter::once(program.as_os_str());
    let words = program.chain(argv.iter().map(OsString::as_os_str));
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}
