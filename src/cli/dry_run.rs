//! `skopeo-index fetch --dry-run`: reads the cache, and changes nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skopeo_index::fetch::{Engine, EngineChoice, EngineUse};
use skopeo_index::os::CancelToken;
use skopeo_index::registry::RegistryClient;
use skopeo_index::skopeo::{CommandRunner, PrivateAuthFile};
use skopeo_index::store::Store;
use skopeo_index_core::escape::json_text;
use skopeo_index_core::machine::{Method, Network, ObjectStatus};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::{SkopeoCommand, SkopeoOptions, method_commands};
use skopeo_index_core::verifier::VerifierCommand;

use super::exit::ExitStatus;
use super::options::{Format, RunArgs, SkopeoArgs};
use super::output::{self, CliError};
use super::shell;

/// Stands for the directory of an attempt (method copy).
const STAGING: &str = "STAGING";

/// Stands for the private credentials file of `--creds`, which is gone with this process.
const AUTHFILE: &str = "AUTHFILE";

/// How requests would be fetched.
pub(super) struct DryRun<'a> {
    pub(super) run: &'a RunArgs,
    pub(super) skopeo: &'a SkopeoArgs,
    pub(super) options: &'a SkopeoOptions,
    pub(super) registry: &'a RegistryClient<'a>,
    pub(super) format: Format,
}

/// How a miss would be fetched.
struct Plan {
    engine: EngineUse,
    /// What the registry client would request.
    url: Option<String>,
    /// The commands of skopeo, with its path.
    commands: Vec<Vec<OsString>>,
}

impl DryRun<'_> {
    pub(super) fn run(
        &self,
        store: &Store,
        requests: &[Request],
        cancel: &CancelToken,
    ) -> Result<ExitStatus, CliError> {
        let policy = self.run.policy(self.skopeo.attempts());
        for request in requests {
            cancel
                .cancelled()
                .map_or(Ok(()), |reason| Err(CliError::from(reason)))?;
            let digest = request.digest();
            let (cache, is_fetched) = match store.read(digest)?.status(digest) {
                ObjectStatus::Intact { .. } => ("cached", false),
                ObjectStatus::NotAnIndex(_) => ("not-an-index", false),
                ObjectStatus::Missing => ("missing", true),
                ObjectStatus::Corrupt => ("corrupt", true),
            };
            let is_fetched = is_fetched && policy.network == Network::Allowed;
            let plan = is_fetched.then(|| self.plan(request, policy.method));
            match self.format {
                Format::Json => output::json_line(&self.json(request, cache, plan))?,
                Format::Text => output::line(&self.text(request, cache, plan))?,
            }
        }
        Ok(ExitStatus::Success)
    }

    fn json(&self, request: &Request, cache: &str, plan: Option<Plan>) -> Value {
        let mut json = json!({
            "reference": request.to_string(), "source": request.skopeo_source(),
            "cache": cache, "commands": [],
        });
        let verifiers: Vec<_> = self.run.verifiers.commands().collect();
        if !verifiers.is_empty() {
            json["verifiers"] = json!(verifiers);
        }
        if let Some(plan) = plan {
            let words = |argv: &Vec<OsString>| argv.iter().map(json_text).collect::<Value>();
            json["engine"] = json!(plan.engine);
            json["commands"] = plan.commands.iter().map(words).collect();
            if let Some(url) = plan.url {
                json["url"] = url.into();
            }
        }
        json
    }

    /// Columns: the object in the cache, the request, how it would be fetched, why not by the
    /// registry client, and each verifier.
    fn text(&self, request: &Request, cache: &str, plan: Option<Plan>) -> String {
        let mut columns = vec![cache.to_owned(), request.to_string()];
        if let Some(plan) = plan {
            let commands: Vec<_> = plan.commands.iter().map(shell::command_line).collect();
            columns.push(match plan.url {
                Some(url) => format!("GET {url}"),
                None if commands.is_empty() => "-".to_owned(),
                None => commands.join(" && "),
            });
            columns.extend(plan.engine.reason.map(|reason| format!("({reason})")));
        }
        let verifier = |command: &VerifierCommand| {
            format!("verifier: {}", shell::command_line(command.words()))
        };
        columns.extend(self.run.verifiers.commands().map(verifier));
        columns.join("\t")
    }

    fn plan(&self, request: &Request, method: Method) -> Plan {
        let (engine, reason, url) = match self.run.engine.engine {
            EngineChoice::Only(Engine::Skopeo) => (Engine::Skopeo, None, None),
            choice => match self.registry.first_url(request) {
                Ok(url) => (Engine::Registry, None, Some(url)),
                Err(refusal) => {
                    let engine = match choice {
                        EngineChoice::Auto => Engine::Skopeo,
                        EngineChoice::Only(engine) => engine,
                    };
                    (engine, Some(refusal.to_string()), None)
                }
            },
        };
        let commands = match engine {
            Engine::Registry => Vec::new(),
            Engine::Skopeo => self.commands(request, method),
        };
        let engine = EngineUse { engine, reason };
        Plan {
            engine,
            url,
            commands,
        }
    }

    fn commands(&self, request: &Request, method: Method) -> Vec<Vec<OsString>> {
        let mut options = self.options.clone();
        let is_private = |file: &&mut PathBuf| PrivateAuthFile::is_path(file);
        if let Some(file) = options.authfile.as_mut().filter(is_private) {
            *file = AUTHFILE.into();
        }
        let (binary, dir) = (self.skopeo.binary(), Path::new(STAGING));
        let argv = |command: &SkopeoCommand<'_>| {
            let mut argv = command.argv(&options, self.skopeo.command_timeout);
            argv.insert(0, binary.program().into());
            argv
        };
        let file = dir.join("manifest.json");
        let commands = method_commands(method, request, dir, &file);
        commands.iter().map(argv).collect()
    }
}
