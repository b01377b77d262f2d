//! `skopeo-index fetch --dry-run`: reads the cache, and changes nothing.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value, json};
use skopeo_index::fetch::{Engine, EngineChoice, EngineUse};
use skopeo_index::os::CancelToken;
use skopeo_index::registry::RegistryClient;
use skopeo_index::skopeo::CommandRunner;
use skopeo_index::store::Store;
use skopeo_index_core::machine::{Network, ObjectStatus};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::{SkopeoOptions, method_commands};
use skopeo_index_core::verifier::VerifierCommand;

use super::exit::ExitStatus;
use super::options::{Format, RunArgs, SkopeoArgs};
use super::output::{self, CliError};
use super::shell;

/// Stands for the directory of an attempt (method copy).
const STAGING: &str = "STAGING";

/// How requests would be fetched.
pub(super) struct DryRun<'a> {
    pub(super) run: &'a RunArgs,
    pub(super) skopeo: &'a SkopeoArgs,
    pub(super) options: &'a SkopeoOptions,
    pub(super) registry: &'a RegistryClient<'a>,
    pub(super) format: Format,
}

impl DryRun<'_> {
    pub(super) fn run(
        &self,
        store: &Store,
        requests: &[Request],
        cancel: &CancelToken,
    ) -> Result<ExitStatus, CliError> {
        for request in requests {
            cancel
                .cancelled()
                .map_or(Ok(()), |reason| Err(CliError::from(reason)))?;
            let digest = request.digest();
            let (cache, is_fetched) = match store.read(digest)?.status(digest) {
                ObjectStatus::Intact { .. } | ObjectStatus::NotAnIndex(_) => ("cached", false),
                ObjectStatus::Missing => ("missing", true),
                ObjectStatus::Corrupt => ("corrupt", true),
            };
            let policy = self.run.policy(self.skopeo.attempts());
            match (
                self.format,
                is_fetched && policy.network == Network::Allowed,
            ) {
                (Format::Json, true) => output::json_line(&self.json(request, cache))?,
                (Format::Json, false) => output::json_line(&self.base_json(request, cache))?,
                (Format::Text, true) => {
                    let how = self.text(request);
                    output::line(&format!("{cache}\t{request}\t{how}{}", self.verifiers()))?;
                }
                (Format::Text, false) => {
                    output::line(&format!("{cache}\t{request}{}", self.verifiers()))?;
                }
            }
        }
        Ok(ExitStatus::Success)
    }

    /// A column for each verifier.
    fn verifiers(&self) -> String {
        let column = |command: &VerifierCommand| {
            let arguments = command.words().iter().skip(1).map(OsString::from);
            let arguments: Vec<_> = arguments.collect();
            let line = shell::command_line(Path::new(command.program()), &arguments);
            format!("\tverifier: {line}")
        };
        self.run.verifiers().commands().map(column).collect()
    }

    fn base_json(&self, request: &Request, cache: &str) -> Value {
        let mut json = json!({
            "reference": request.to_string(), "source": request.skopeo_source(),
            "cache": cache, "commands": [],
        });
        let verifiers: Vec<_> = self.run.verifiers().commands().collect();
        if !verifiers.is_empty() {
            json["verifiers"] = json!(verifiers);
        }
        json
    }

    fn json(&self, request: &Request, cache: &str) -> Value {
        let mut json = self.base_json(request, cache);
        let (engine, url) = self.plan(request);
        json["engine"] = output::engine_json(&engine);
        if let Some(url) = url {
            json["url"] = url.into();
        } else if engine.engine == Engine::Skopeo {
            let binary = self.skopeo.binary();
            let commands = self.commands(request);
            let commands = commands.iter().map(|argv| words(binary.program(), argv));
            json["commands"] = commands.collect();
        }
        json
    }

    /// The request or the commands, and why it is not the request.
    fn text(&self, request: &Request) -> String {
        let (engine, url) = self.plan(request);
        let how = match (engine.engine, url) {
            (_, Some(url)) => format!("GET {url}"),
            (Engine::Registry, None) => "-".to_owned(),
            (Engine::Skopeo, None) => {
                let binary = self.skopeo.binary();
                let commands = self.commands(request);
                let lines = commands
                    .iter()
                    .map(|argv| shell::command_line(binary.program(), argv));
                lines.collect::<Vec<_>>().join(" && ")
            }
        };
        let reason = engine.reason.map(|reason| format!("\t({reason})"));
        how + &reason.unwrap_or_default()
    }

    /// The engine of a miss, and the URL that the registry client would request.
    fn plan(&self, request: &Request) -> (EngineUse, Option<String>) {
        let ask = |otherwise| match self.registry.first_url(request) {
            Ok(url) => (EngineUse::chosen(Engine::Registry), Some(url)),
            Err(refusal) => {
                let engine = EngineUse {
                    engine: otherwise,
                    reason: Some(refusal.to_string()),
                };
                (engine, None)
            }
        };
        match self.run.engine() {
            EngineChoice::Auto => ask(Engine::Skopeo),
            EngineChoice::Only(Engine::Registry) => ask(Engine::Registry),
            EngineChoice::Only(Engine::Skopeo) => (EngineUse::chosen(Engine::Skopeo), None),
        }
    }

    /// The commands of a miss.
    fn commands(&self, request: &Request) -> Vec<Vec<OsString>> {
        let policy = self.run.policy(self.skopeo.attempts());
        let dir = Path::new(STAGING);
        let file = &dir.join("manifest.json");
        let commands = method_commands(policy.method, request, dir, file);
        let timeout = self.skopeo.command_timeout();
        let argv = commands
            .iter()
            .map(|command| command.argv(self.options, timeout));
        argv.collect()
    }
}

fn words(program: &Path, argv: &[OsString]) -> Vec<String> {
    let program = std::iter::once(program.as_os_str());
    let words = program.chain(argv.iter().map(OsString::as_os_str));
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}
