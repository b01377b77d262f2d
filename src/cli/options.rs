//! Options that several subcommands share, and the osbuild service by the environment.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{ArgAction, Args, ValueEnum};
use skopeo_index::fetch::EngineChoice;
use skopeo_index::os::CancelToken;
use skopeo_index::registry::{GateInputs, SkopeoProgram};
use skopeo_index::skopeo::{CommandRunner, Skopeo, SkopeoBinary};
use skopeo_index_core::audit::{Label, Labels, LogId};
use skopeo_index_core::escape::EscapedPath;
use skopeo_index_core::machine::{Attempts, FetchPolicy, MAX_RETRY_TIMES, Method, Network};
use skopeo_index_core::request::TlsVerify;
use skopeo_index_core::skopeo::{SkopeoDebug, SkopeoOptions};

use super::output::{self, CliError};
use super::tips;
use super::values::{boolean, delay, jobs, origin, positive_duration, timeout, tls_verify};
use super::verifiers::VerifierArgs;

/// Default number of concurrent fetches. They mostly wait for a registry: `make bench`
/// measures that 32 are enough behind 50 ms of latency, and no slower than fewer on a
/// loopback.
const DEFAULT_JOBS: &str = "32";

/// The skopeo that is run unless another is chosen.
pub(super) const DEFAULT_SKOPEO: &str = "skopeo";

/// Help heading of options that are about registries and skopeo.
pub(super) const REGISTRY_HEADING: &str = "Registry and skopeo";

/// How skopeo is run.
#[derive(Debug, Args)]
#[command(next_help_heading = REGISTRY_HEADING)]
pub(super) struct SkopeoArgs {
    /// Credentials, as `skopeo login` writes them
    #[arg(long, value_name = "FILE", env = "SKOPEO_INDEX_AUTHFILE")]
    authfile: Option<PathBuf>,
    /// Directory of the registry's *.crt, *.cert and *.key files
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_CERT_DIR")]
    cert_dir: Option<PathBuf>,
    /// Require HTTPS and verify certificates [default: from registries.conf]
    #[arg(
        long, value_name = "BOOL", env = "SKOPEO_INDEX_TLS_VERIFY",
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = tls_verify
    )]
    tls_verify: Option<TlsVerify>,
    /// Timeout for each skopeo command, and for each fetch of the registry client
    #[arg(
        long, value_name = "DURATION", env = "SKOPEO_INDEX_COMMAND_TIMEOUT",
        default_value = "2m", value_parser = timeout
    )]
    pub(super) command_timeout: Duration,
    /// Number of retries after a transient failure
    #[arg(long, value_name = "N", env = "SKOPEO_INDEX_RETRY_TIMES", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_RETRY_TIMES)))]
    retry_times: u32,
    /// Delay before the first retry; doubles each time
    #[arg(
        long, value_name = "DURATION", env = "SKOPEO_INDEX_RETRY_DELAY",
        default_value = "1s", value_parser = delay
    )]
    pub(super) retry_delay: Duration,
    /// Timeout for the whole run
    #[arg(
        long, value_name = "DURATION", env = "SKOPEO_INDEX_DEADLINE",
        value_parser = positive_duration
    )]
    pub(super) deadline: Option<Duration>,
    /// skopeo program: a path, or a name on PATH
    #[arg(
        long,
        value_name = "PATH",
        env = "SKOPEO_INDEX_SKOPEO",
        default_value = DEFAULT_SKOPEO
    )]
    skopeo: PathBuf,
    /// Print each skopeo command, and its debug output if it fails
    #[arg(long, env = "SKOPEO_INDEX_DEBUG", action = ArgAction::SetTrue, value_parser = boolean)]
    debug: bool,
}

impl SkopeoArgs {
    pub(super) fn tls_verify(&self) -> TlsVerify {
        self.tls_verify.unwrap_or_default()
    }

    /// # Errors
    /// Where the directory of certificates can't be read: skopeo does without a missing one.
    pub(super) fn options(&self) -> Result<SkopeoOptions, CliError> {
        if let Some(dir) = &self.cert_dir {
            std::fs::read_dir(dir).map_err(|error| {
                let (option, dir) = (tips::set_by("cert-dir"), EscapedPath(dir));
                CliError::usage(format!("{option}: cannot read {dir}: {error}"))
            })?;
        }
        Ok(SkopeoOptions {
            authfile: self.authfile.clone(),
            cert_dir: self.cert_dir.clone(),
            debug: if self.debug {
                SkopeoDebug::On
            } else {
                SkopeoDebug::Off
            },
            authorization: None,
        })
    }

    pub(super) fn binary(&self) -> SkopeoBinary {
        SkopeoBinary::new(self.skopeo.clone())
    }

    pub(super) fn program(&self) -> SkopeoProgram {
        match self.skopeo.to_str() {
            Some(DEFAULT_SKOPEO) => SkopeoProgram::Default,
            _ => SkopeoProgram::Chosen,
        }
    }

    /// skopeo, whose commands a runner runs.
    pub(super) const fn skopeo<'a>(
        &self,
        runner: &'a dyn CommandRunner,
        options: &'a SkopeoOptions,
    ) -> Skopeo<'a> {
        Skopeo {
            runner,
            options,
            command_timeout: self.command_timeout,
        }
    }

    pub(super) const fn attempts(&self) -> Attempts {
        NonZeroU32::MIN.saturating_add(self.retry_times)
    }
}

/// A token that is cancelled at the deadline, and by SIGINT and SIGTERM. Waits for a reader
/// of the output obey it.
pub(super) fn cancel_on_signals(deadline: Option<Duration>) -> Result<Arc<CancelToken>, CliError> {
    let cancel = Arc::new(cancel_token(deadline)?);
    let handled = cancel.on_signals();
    handled.map_err(|error| CliError::other(format!("cannot handle signals: {error}")))?;
    output::cancel_with(&cancel);
    Ok(cancel)
}

pub(super) fn cancel_token(deadline: Option<Duration>) -> Result<CancelToken, CliError> {
    let deadline = deadline.and_then(|time| Instant::now().checked_add(time));
    CancelToken::new(deadline)
        .map_err(|error| CliError::other(format!("cannot create a pipe: {error}")))
}

/// How much is done at once.
#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    /// Number of concurrent fetches
    #[arg(
        short, long, value_name = "N", env = "SKOPEO_INDEX_JOBS",
        default_value = DEFAULT_JOBS, value_parser = jobs
    )]
    pub(super) jobs: NonZeroUsize,
}

/// What fetches.
#[derive(Debug, Args)]
pub(super) struct EngineArgs {
    /// What fetches indexes: `registry` is the registry client of this program, `skopeo` a
    /// process for each index; `auto` uses the registry client where it does what skopeo
    /// would
    #[arg(long, value_enum, env = "SKOPEO_INDEX_ENGINE", default_value = "auto")]
    pub(super) engine: EngineChoice,
}

/// How requests are fetched.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) jobs: JobsArgs,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
    /// How to run skopeo: `raw` uses `skopeo inspect --raw`; `copy` runs the three commands
    /// that osbuild's Python source runs
    #[arg(long, value_enum, env = "SKOPEO_INDEX_METHOD", default_value = "raw")]
    method: MethodArg,
    /// Never contact a registry; fail if something is not in the cache
    #[arg(long, env = "SKOPEO_INDEX_OFFLINE", action = ArgAction::SetTrue, value_parser = boolean)]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) verifiers: VerifierArgs,
    /// Append a record of every transition to this log
    #[arg(long, value_name = "FILE", env = "SKOPEO_INDEX_AUDIT_LOG")]
    pub(super) audit_log: Option<PathBuf>,
    /// Origin of a new log, in its checkpoints: a URL without scheme, such as
    /// example.com/builds [default: a random name]
    #[arg(long, value_name = "ORIGIN", env = "SKOPEO_INDEX_ORIGIN", requires = "audit_log", value_parser = origin)]
    pub(super) origin: Option<LogId>,
    /// Label of the run in the audit log, such as job=1234; can be repeated, and may be
    /// several with commas
    #[arg(
        long = "label",
        value_name = "KEY=VALUE",
        env = "SKOPEO_INDEX_LABELS",
        requires = "audit_log",
        value_delimiter = ','
    )]
    labels: Vec<Label>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodArg {
    Raw,
    Copy,
}

impl RunArgs {
    /// What decides whether the registry client may be used.
    pub(super) fn gate_inputs<'a>(
        &self,
        skopeo: &SkopeoArgs,
        options: &'a SkopeoOptions,
    ) -> GateInputs<'a> {
        let method = self.policy(skopeo.attempts()).method;
        GateInputs::from_process(options, method, skopeo.program())
    }

    pub(super) fn labels(&self) -> Result<Labels, CliError> {
        let labels = Labels::new(self.labels.iter().cloned());
        labels.map_err(|error| CliError::usage(format!("{}: {error}", tips::set_by("label"))))
    }

    pub(super) const fn policy(&self, attempts: Attempts) -> FetchPolicy {
        FetchPolicy {
            attempts,
            method: match self.method {
                MethodArg::Raw => Method::Raw,
                MethodArg::Copy => Method::SkopeoCopy,
            },
            network: if self.offline {
                Network::Offline
            } else {
                Network::Allowed
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Human-readable text
    Text,
    /// JSON Lines
    Json,
}
