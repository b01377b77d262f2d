//! Options that several subcommands have, and the osbuild service by the
//! environment.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{ArgAction, Args, ValueEnum};

use super::output::CliError;
use skopeo_index::os::CancelToken;
use skopeo_index_core::machine::{Attempts, FetchPolicy, Method, Network};
use skopeo_index_core::request::TlsVerify;
use skopeo_index_core::skopeo::{SkopeoDebug, SkopeoOptions};
use skopeo_index::skopeo::SkopeoBinary;

/// How many commands run at once, if nothing else is said. Commands mostly wait
/// for a registry, and `make bench` measures both ends: of 32 behind 50 ms of
/// latency all at once, and on a loopback no slower than fewer.
const JOBS: usize = 32;

/// How skopeo is called.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry and skopeo")]
pub(super) struct SkopeoArgs {
    /// Credentials, as `skopeo login` writes them
    #[arg(long, value_name = "FILE", env = "SKOPEO_INDEX_AUTHFILE")]
    authfile: Option<PathBuf>,
    /// A directory with *.crt, *.cert and *.key files for the registry
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_CERT_DIR")]
    cert_dir: Option<PathBuf>,
    /// Whether a registry has to prove who it is; without it, registries.conf decides
    #[arg(
        long, value_name = "BOOL", env = "SKOPEO_INDEX_TLS_VERIFY",
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = tls_verify
    )]
    tls_verify: Option<TlsVerify>,
    /// Time for one command of skopeo
    #[arg(
        long, value_name = "DURATION", env = "SKOPEO_INDEX_COMMAND_TIMEOUT",
        default_value = "2m", value_parser = command_time
    )]
    command_timeout: Duration,
    /// How often a transient failure is tried again
    #[arg(long, value_name = "N", env = "SKOPEO_INDEX_RETRY_TIMES", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(..=100))]
    retry_times: u32,
    /// The pause before the second attempt; it doubles from one to the next
    #[arg(
        long, value_name = "DURATION", env = "SKOPEO_INDEX_RETRY_DELAY",
        default_value = "1s", value_parser = pause
    )]
    retry_delay: Duration,
    /// Time for the whole run
    #[arg(
        long, value_name = "DURATION", env = "SKOPEO_INDEX_DEADLINE",
        value_parser = positive_duration
    )]
    deadline: Option<Duration>,
    /// The skopeo to run: a path, or a name on PATH
    #[arg(
        long,
        value_name = "PATH",
        env = "SKOPEO_INDEX_SKOPEO",
        default_value = "skopeo"
    )]
    skopeo: PathBuf,
    /// Show skopeo's commands, and their debugging output where they fail
    #[arg(long, env = "SKOPEO_INDEX_DEBUG", action = ArgAction::SetTrue, value_parser = boolean)]
    debug: bool,
}

impl SkopeoArgs {
    pub(super) const fn tls_verify(&self) -> TlsVerify {
        match self.tls_verify {
            None => TlsVerify::Unset,
            Some(tls_verify) => tls_verify,
        }
    }

    pub(super) fn options(&self) -> SkopeoOptions {
        SkopeoOptions {
            authfile: self.authfile.clone(),
            cert_dir: self.cert_dir.clone(),
            debug: if self.debug {
                SkopeoDebug::On
            } else {
                SkopeoDebug::Off
            },
        }
    }

    pub(super) fn runner(&self) -> SkopeoBinary {
        SkopeoBinary::new(self.skopeo.clone())
    }

    pub(super) const fn command_timeout(&self) -> Duration {
        self.command_timeout
    }

    pub(super) const fn retry_delay(&self) -> Duration {
        self.retry_delay
    }

    pub(super) const fn attempts(&self) -> Attempts {
        NonZeroU32::MIN.saturating_add(self.retry_times)
    }

    pub(super) const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Ends the run at its deadline.
    pub(super) fn cancel(&self) -> Result<CancelToken, CliError> {
        let deadline = self
            .deadline
            .and_then(|time| Instant::now().checked_add(time));
        CancelToken::new(deadline)
            .map_err(|error| CliError::other(format!("cannot make a pipe: {error}")))
    }
}

/// How requests are fetched.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// How many are fetched at once
    #[arg(short, long, value_name = "N", env = "SKOPEO_INDEX_JOBS", default_value_t = NonZeroUsize::new(JOBS).unwrap_or(NonZeroUsize::MIN), value_parser = jobs)]
    jobs: NonZeroUsize,
    /// How skopeo is asked: `raw` by `inspect --raw`, `copy` by the three commands of osbuild's
    /// Python source
    #[arg(long, value_enum, env = "SKOPEO_INDEX_METHOD", default_value = "raw")]
    method: MethodArg,
    /// Use the cache only: what isn't there is a failure
    #[arg(long, env = "SKOPEO_INDEX_OFFLINE", action = ArgAction::SetTrue, value_parser = boolean)]
    offline: bool,
    /// Append a record of every transition to this log
    #[arg(long, value_name = "FILE", env = "SKOPEO_INDEX_AUDIT_LOG")]
    audit_log: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodArg {
    Raw,
    Copy,
}

impl RunArgs {
    pub(super) const fn jobs(&self) -> NonZeroUsize {
        self.jobs
    }

    pub(super) fn audit_log(&self) -> Option<&Path> {
        self.audit_log.as_deref()
    }

    pub(super) const fn plan(&self, attempts: Attempts) -> FetchPolicy {
        FetchPolicy {
            method: match self.method {
                MethodArg::Raw => Method::Raw,
                MethodArg::Copy => Method::SkopeoCopy,
            },
            attempts,
            network: if self.offline {
                Network::Offline
            } else {
                Network::Allowed
            },
        }
    }
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How a variable says yes or no; one that is empty says no.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "y" | "yes" | "t" | "true" | "on" => Ok(true),
        "" | "0" | "n" | "no" | "f" | "false" | "off" => Ok(false),
        _ => Err("it is neither yes nor no: say true or false".to_owned()),
    }
}

/// One that is empty says nothing: nobody means to be less safe by that.
fn tls_verify(text: &str) -> Result<TlsVerify, String> {
    Ok(match (text, boolean(text)?) {
        ("", _) => TlsVerify::Unset,
        (_, true) => TlsVerify::Always,
        (_, false) => TlsVerify::Never,
    })
}

/// The most fetches at once: each has a process, and three descriptors.
const JOBS_MAX: usize = 1000;

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let jobs = text.parse().map_err(|error| format!("{error}"))?;
    match NonZeroUsize::new(jobs) {
        Some(jobs) if jobs.get() <= JOBS_MAX => Ok(jobs),
        _ => Err(format!("it has to be from 1 to {JOBS_MAX}")),
    }
}

/// The longest time for a command, and the longest pause: beyond it somebody
/// has mistyped.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn pause(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text).map_err(|error| error.to_string())? {
        time if time <= DAY => Ok(time),
        _ => Err("it has to be a day at most".into()),
    }
}

fn command_time(text: &str) -> Result<Duration, String> {
    positive_duration(text).and_then(|_| pause(text))
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        Err("it has to be more than nothing".into())
    } else {
        Ok(time)
    }
}
