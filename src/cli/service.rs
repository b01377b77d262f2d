//! The osbuild service, configured by its environment.

use std::os::fd::RawFd;

use clap::{Parser, ValueEnum};

use super::exit::ExitStatus;
use super::options::{RunArgs, SkopeoArgs};
use super::output::CliError;
use skopeo_index::os;
use skopeo_index::osbuild::{Channel, Era, ReplyFormat, Service};

/// Serves an osbuild host as its source org.osbuild.skopeo-index
///
/// Started by osbuild, which passes the socket. Every option is an environment
/// variable too.
#[derive(Debug, Parser)]
#[command(name = "org.osbuild.skopeo-index", version, max_term_width = 100)]
pub(super) struct Args {
    /// The host's socket
    #[arg(long, value_name = "N")]
    service_fd: RawFd,
    /// The name by which the host knows this service
    #[arg(long, value_name = "ID")]
    service_id: String,
    /// How a failure is told: by default as the host's version wants it
    #[arg(long, value_enum, env = "SKOPEO_INDEX_REPLY")]
    reply: Option<ReplyArg>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    skopeo: SkopeoArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReplyArg {
    /// A result for each item, which hosts before v186 don't look at.
    Structured,
    /// An exception.
    Exception,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let id = &args.service_id;
    let channel = Channel::inherited(args.service_fd).map_err(|error| {
        CliError::usage(format!("--service-fd {} of {id}: {error}", args.service_fd))
    })?;
    os::ignore_signals()
        .map_err(|error| CliError::other(format!("cannot handle signals: {error}")))?;
    let era = match args.reply {
        None => Era::OfHost,
        Some(ReplyArg::Structured) => Era::Set(ReplyFormat::Structured),
        Some(ReplyArg::Exception) => Era::Set(ReplyFormat::Exception),
    };
    let python_path = std::env::var_os("PYTHONPATH");
    let python_path = python_path
        .as_deref()
        .and_then(|path| std::env::split_paths(path).next());
    let service = Service {
        runner: &args.skopeo.runner(),
        options: &args.skopeo.options(),
        command_timeout: args.skopeo.command_timeout(),
        retry_delay: args.skopeo.retry_delay(),
        plan: args.run.plan(args.skopeo.attempts()),
        tls_verify: args.skopeo.tls_verify(),
        jobs: args.run.jobs(),
        deadline: args.skopeo.deadline(),
        failure: era.reply(python_path.as_deref()),
        audit: args.run.audit_log(),
    };
    service
        .serve(&channel)
        .map_err(|error| CliError::other(error.to_string()))?;
    Ok(ExitStatus::Done)
}
