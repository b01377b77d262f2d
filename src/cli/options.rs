//! Options that several subcommands have, and the osbuild service by the
//! environment.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{ArgAction, Args, ValueEnum};

use super::output::Problem;
use crate::cancel::Cancel;
use crate::machine::{Attempts, Method, Network, Plan};
use crate::osbuild::FILES;
use crate::request::TlsVerify;
use crate::skopeo::{Debug as SkopeoDebug, Options, Process};
use crate::store::{RealDisk, Store};

/// How many commands run at once, if nothing else is said. Commands mostly wait
/// for a registry, and `make bench` measures both ends: of 32 behind 50 ms of
/// latency all at once, and on a loopback no slower than fewer.
const JOBS: usize = 32;

/// Where the cache is.
#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    /// The cache; by default skopeo-index in $XDG_CACHE_HOME or ~/.cache
    #[arg(
        long,
        value_name = "DIR",
        env = "SKOPEO_INDEX_CACHE",
        conflicts_with = "store"
    )]
    cache: Option<PathBuf>,
    /// An osbuild store: the cache is its sources/org.osbuild.files
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_STORE")]
    store: Option<PathBuf>,
}

/// Whom else a cache belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Nobody.
    Ours,
    /// osbuild's other sources.
    WithOtherSources,
}

impl CacheArgs {
    pub(super) fn open(&self) -> Result<Store<RealDisk>, Problem> {
        let root = match (&self.cache, &self.store) {
            (Some(cache), _) => cache.clone(),
            (None, Some(store)) => store.join("sources").join(FILES),
            (None, None) => default_cache()?,
        };
        Ok(Store::new(root, RealDisk))
    }

    pub(super) const fn sharing(&self) -> Sharing {
        match self.store {
            Some(_) => Sharing::WithOtherSources,
            None => Sharing::Ours,
        }
    }
}

fn default_cache() -> Result<PathBuf, Problem> {
    let set = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|dir| dir.join("skopeo-index"))
        .ok_or_else(|| Problem::usage("HOME is not set: say where the cache is by --cache DIR"))
}

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
        num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    tls_verify: Option<bool>,
    /// Time for one command of skopeo
    #[arg(
        long, value_name = "DURATION", env = "SKOPEO_INDEX_COMMAND_TIMEOUT",
        default_value = "2m", value_parser = positive_duration
    )]
    command_timeout: Duration,
    /// How often a transient failure is tried again
    #[arg(long, value_name = "N", env = "SKOPEO_INDEX_RETRY_TIMES", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(..=100))]
    retry_times: u32,
    /// The pause before the second attempt; it doubles from one to the next
    #[arg(
        long, value_name = "DURATION", env = "SKOPEO_INDEX_RETRY_DELAY",
        default_value = "1s", value_parser = humantime::parse_duration
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
    #[arg(long, env = "SKOPEO_INDEX_DEBUG", action = ArgAction::SetTrue)]
    debug: bool,
}

impl SkopeoArgs {
    pub(super) const fn tls_verify(&self) -> TlsVerify {
        match self.tls_verify {
            None => TlsVerify::AsConfigured,
            Some(true) => TlsVerify::Require,
            Some(false) => TlsVerify::Skip,
        }
    }

    pub(super) fn options(&self) -> Options {
        Options {
            authfile: self.authfile.clone(),
            cert_dir: self.cert_dir.clone(),
            debug: if self.debug {
                SkopeoDebug::On
            } else {
                SkopeoDebug::Off
            },
        }
    }

    pub(super) fn runner(&self) -> Process {
        Process::new(self.skopeo.clone())
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
    pub(super) fn cancel(&self) -> Result<Cancel, Problem> {
        let deadline = self
            .deadline
            .and_then(|time| Instant::now().checked_add(time));
        Cancel::new(deadline)
            .map_err(|error| Problem::other(format!("cannot make a pipe: {error}")))
    }
}

/// How requests are fetched.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// How many are fetched at once
    #[arg(short, long, value_name = "N", env = "SKOPEO_INDEX_JOBS", default_value_t = NonZeroUsize::new(JOBS).unwrap_or(NonZeroUsize::MIN))]
    jobs: NonZeroUsize,
    /// How skopeo is asked: `raw` by `inspect --raw`, `copy` by the three commands of osbuild's
    /// Python source
    #[arg(long, value_enum, env = "SKOPEO_INDEX_METHOD", default_value = "raw")]
    method: MethodArg,
    /// Use the cache only: what isn't there is a failure
    #[arg(long, env = "SKOPEO_INDEX_OFFLINE", action = ArgAction::SetTrue)]
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

    pub(super) const fn plan(&self, attempts: Attempts) -> Plan {
        Plan {
            method: match self.method {
                MethodArg::Raw => Method::Raw,
                MethodArg::Copy => Method::Copy,
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

fn positive_duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        Err("it has to be more than nothing".into())
    } else {
        Ok(time)
    }
}
