//! The osbuild service, configured by its environment.

use std::os::fd::RawFd;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use skopeo_index::os::ignore_signals;
use skopeo_index::osbuild::{Channel, ReplyFormat, Service};

use super::options::{RunArgs, SkopeoArgs};
use super::output::CliError;

/// Serves an osbuild host as its source org.osbuild.skopeo-index
///
/// Started by osbuild, which passes the socket. Every other option is an environment
/// variable, too.
#[derive(Debug, Parser)]
#[command(name = "org.osbuild.skopeo-index", version, max_term_width = 100)]
pub(super) struct Args {
    /// Descriptor of the host's socket
    #[arg(long, value_name = "N")]
    service_fd: RawFd,
    /// Name of this service at the host
    #[arg(long, value_name = "ID")]
    service_id: String,
    /// How a failure is reported [default: as the host's version requires]
    #[arg(long, value_enum, env = "SKOPEO_INDEX_REPLY")]
    reply: Option<ReplyFormat>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    skopeo: SkopeoArgs,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let labels = args.run.labels()?;
    let id = &args.service_id;
    let channel = Channel::inherited(args.service_fd).map_err(|error| {
        CliError::usage(format!("--service-fd {} of {id}: {error}", args.service_fd))
    })?;
    ignore_signals(&[SIGINT, SIGTERM])
        .map_err(|error| CliError::other(format!("cannot handle signals: {error}")))?;
    let python_path = std::env::var_os("PYTHONPATH");
    let python_path = python_path
        .as_deref()
        .and_then(|path| std::env::split_paths(path).next());
    let of_host = || ReplyFormat::of_host(python_path.as_deref());
    let options = args.skopeo.options()?;
    let binary = args.skopeo.binary();
    let verifiers = args.run.verifiers.find(&options)?;
    let service = Service {
        skopeo: args.skopeo.skopeo(&binary, &options),
        engine: args.run.engine.engine,
        gate: &args.run.gate_inputs(&args.skopeo, &options),
        verifiers: verifiers.as_deref(),
        retry_delay: args.skopeo.retry_delay,
        policy: args.run.policy(args.skopeo.attempts()),
        tls_verify: args.skopeo.tls_verify(),
        jobs: args.run.jobs.jobs,
        deadline: args.skopeo.deadline,
        reply: args.reply.unwrap_or_else(of_host),
        audit_log: args.run.audit_log.as_deref(),
        origin: args.run.origin.as_ref(),
        labels: &labels,
    };
    let served = service.serve(&channel);
    served.map_err(|error| CliError::other(error.to_string()))
}
