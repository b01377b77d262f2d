//! `skopeo-index fetch`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use clap::{ArgAction, ValueEnum};

use super::cache::Cache;
use super::dry_run;
use super::exit::ExitStatus;
use super::input::{self, ReferenceDefaults};
use super::options::{Format, RunArgs, SkopeoArgs, boolean};
use super::output::{self, CliError, json_line};
use super::precedence::Exclusive;
use super::progress::{self, DebugRunner, Mode, Progress};
use super::source::SourceDefaults;
use skopeo_index::audit_log::{LogError, LogWriter, Recorder, Supply};
use skopeo_index::fetch::{Executor, FetchReport, Observer};
use skopeo_index::fetch::{ByteSource, Performer};
use skopeo_index_core::request::Request;
use skopeo_index::skopeo;
use skopeo_index::store::{RealDisk, Store};

/// Fetch indexes into a cache
///
/// Prints the path of each object, in the order of the request.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(
        value_name = "NAME@DIGEST",
        help = "What to fetch: [docker://]NAME@sha256:…, or \
                containers-storage:[[overlay@DIR]]NAME@sha256:…"
    )]
    references: Vec<String>,
    /// An osbuild manifest, or just the items of its skopeo-index source; - is stdin
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    cache: Exclusive<Cache>,
    #[command(flatten)]
    run: RunArgs,
    /// Say what would be fetched, and by which command
    #[arg(long)]
    dry_run: bool,
    /// How results are printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// How progress is shown
    #[arg(
        long,
        value_enum,
        env = "SKOPEO_INDEX_PROGRESS",
        default_value = "auto"
    )]
    progress: ProgressArg,
    /// Show errors only
    #[arg(short, long, env = "SKOPEO_INDEX_QUIET", action = ArgAction::SetTrue, value_parser = boolean)]
    quiet: bool,
    #[command(flatten)]
    images: Exclusive<SourceDefaults>,
    #[command(flatten)]
    skopeo: SkopeoArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProgressArg {
    /// Bars on a terminal, plain lines elsewhere.
    Auto,
    /// A line for each index.
    Plain,
    /// A JSON object for each transition, on stderr.
    Json,
    /// Nothing but errors.
    None,
}

impl Args {
    fn mode(&self) -> Mode {
        match self.progress {
            _ if self.quiet => Mode::None,
            ProgressArg::Auto if progress::on_terminal() => Mode::Bars,
            ProgressArg::Auto | ProgressArg::Plain => Mode::Plain,
            ProgressArg::Json => Mode::Json,
            ProgressArg::None => Mode::None,
        }
    }
}

pub(super) fn run(args: Args) -> Result<ExitStatus, CliError> {
    let defaults = ReferenceDefaults {
        images: &args.images.0,
        tls_verify: args.skopeo.tls_verify(),
    };
    let manifest = args.manifest.as_deref();
    let requests = input::requests(&args.references, manifest, &defaults)?;
    if requests.is_empty() {
        return Err(input::nothing_to_fetch(manifest));
    }
    let store = args.cache.0.open()?;
    let distinct = distinct(&requests);
    let dropped = distinct.iter().filter_map(|request| dropped_tag(request));
    if args.dry_run {
        dropped.for_each(|text| output::print_stderr(&text));
        return dry_run::run(&args.run, &args.skopeo, args.format, &store, &requests);
    }

    let started = Instant::now();
    let cancel = args.skopeo.cancel()?;
    cancel
        .on_signals()
        .map_err(|e| CliError::other(format!("cannot handle signals: {e}")))?;
    let (runner, options) = (args.skopeo.runner(), args.skopeo.options());
    let progress = Progress::new(args.mode(), distinct.len(), &options);
    dropped.for_each(|text| progress.note(&text));
    if let Err(fault) = store.sweep() {
        progress.note(&format!("cannot sweep what dead processes left: {fault}"));
    }

    let plan = args.run.plan(args.skopeo.attempts());
    let unrecorded = |error: LogError| CliError::other(error.to_string());
    let log = args
        .run
        .audit_log()
        .map(|log| LogWriter::open(log, &cancel))
        .transpose();
    let log = log.map_err(unrecorded)?;
    let begin = |log| {
        let skopeo = skopeo::identify(&runner, &cancel);
        Recorder::begin(log, store.root(), plan, Supply::Skopeo(skopeo.into()))
    };
    let recorder = log.as_ref().map(begin).transpose().map_err(unrecorded)?;
    // First what may refuse to go on, then what shows.
    let mut witnesses: Vec<&dyn Observer> = Vec::new();
    witnesses.extend(recorder.as_ref().map(|recorder| recorder as &dyn Observer));
    witnesses.push(&progress);

    let executor = Executor {
        performer: Performer {
            store: &store,
            engine: ByteSource::Skopeo {
                runner: &DebugRunner {
                    skopeo: &runner,
                    tell: &|text| progress.note(text),
                },
                options: &options,
                command_timeout: args.skopeo.command_timeout(),
            },
            retry_delay: args.skopeo.retry_delay(),
            cancel: &cancel,
        },
        plan,
        jobs: args.run.jobs(),
        witnesses: &witnesses,
    };
    let (mut status, mut printed) = (ExitStatus::Done, Ok(()));
    let ran = executor.run(&requests, |report| {
        if let Err(failure) = &report.result {
            status = status.and(ExitStatus::of(&failure.cause));
        }
        if printed.is_ok() {
            printed = print(args.format, report, &store);
        }
    });
    let ended = recorder.map_or(Ok(()), Recorder::end).map_err(unrecorded);
    if let Err(fault) = store.close() {
        progress.note(&format!("{fault}"));
    }
    // The whole log is read for it.
    let shown = log.as_ref().filter(|_| args.mode() != Mode::None);
    let checkpoint = shown.and_then(|log| log.checkpoint().ok());
    progress.finish(started.elapsed(), checkpoint.as_ref());
    printed?;
    ended?;
    match ran {
        Ok(()) => Ok(status),
        Err(halt) => Err(CliError::other(format!("{halt:?}"))),
    }
}

fn print(format: Format, report: &FetchReport, store: &Store<RealDisk>) -> Result<(), CliError> {
    match (format, &report.result) {
        (Format::Json, _) => json_line(&output::result_json(report, store.root())),
        (Format::Text, Ok(_)) => {
            output::line(&store.object(report.request.digest()).display().to_string())
        }
        (Format::Text, Err(_)) => Ok(()),
    }
}

/// Each request once.
fn distinct(requests: &[Request]) -> Vec<&Request> {
    let mut seen = HashSet::new();
    requests
        .iter()
        .filter(|request| seen.insert(*request))
        .collect()
}

/// What is told of a request whose tag skopeo isn't given.
fn dropped_tag(request: &Request) -> Option<String> {
    let tag = request.dropped_tag()?;
    Some(format!(
        "{request}: the tag \"{tag}\" is dropped: with a digest beside it, the digest says what to fetch"
    ))
}
