//! `skopeo-index fetch`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use clap::ArgAction;
use skopeo_index::audit_log::LogWriter;
use skopeo_index::fetch::{ByteSource, FetchReport, Performer};
use skopeo_index::session::{Session, SessionConfig};
use skopeo_index::skopeo::Skopeo;
use skopeo_index::store::Store;
use skopeo_index_core::osbuild::SOURCE;
use skopeo_index_core::request::Request;

use super::cache::CacheLocation;
use super::debug::DebugRunner;
use super::dry_run;
use super::exclusive::Exclusive;
use super::exit::ExitStatus;
use super::input::{self, ReferenceDefaults};
use super::location::LocationDefaults;
use super::options::{Format, RunArgs, SkopeoArgs, boolean};
use super::output::{self, CliError, json_line};
use super::progress::{Progress, ProgressMode};

/// Fetch indexes into a cache
///
/// Prints the path of each object, in the order of the request.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(
        value_name = "NAME@DIGEST",
        help = "Indexes to fetch: [docker://]NAME@sha256:…, or \
                containers-storage:[[overlay@DIR]]NAME@sha256:…"
    )]
    references: Vec<String>,
    /// osbuild manifest, its sources, or just the items of its skopeo-index source; - is stdin
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    cache: Exclusive<CacheLocation>,
    #[command(flatten)]
    run: RunArgs,
    /// Print what would be fetched and the commands that would run
    #[arg(long)]
    dry_run: bool,
    /// Output format of results
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// How progress is shown
    #[arg(
        long,
        value_enum,
        env = "SKOPEO_INDEX_PROGRESS",
        default_value = "auto"
    )]
    progress: ProgressMode,
    /// Print errors only
    #[arg(short, long, env = "SKOPEO_INDEX_QUIET", action = ArgAction::SetTrue, value_parser = boolean)]
    quiet: bool,
    #[command(flatten)]
    locations: Exclusive<LocationDefaults>,
    #[command(flatten)]
    skopeo: SkopeoArgs,
}

pub(super) fn run(args: Args) -> Result<ExitStatus, CliError> {
    let defaults = ReferenceDefaults {
        locations: &args.locations.0,
        skopeo: &args.skopeo,
    };
    let started = Instant::now();
    let cancel = args.skopeo.cancel_on_signals()?;
    let (binary, options) = (args.skopeo.binary(), args.skopeo.options());
    let mode = match args.quiet {
        true => ProgressMode::None,
        false => args.progress,
    };
    let manifest = args.manifest.as_deref();
    let requests = input::requests(&args.references, manifest, &defaults, &cancel)?;
    if let ([], Some(manifest)) = (requests.as_slice(), manifest) {
        // Bars have nothing to show.
        let mode = match mode {
            ProgressMode::Auto => ProgressMode::Plain,
            mode => mode,
        };
        let text = format!("no items of {SOURCE}, nothing to fetch");
        Progress::new(mode, 0, &options).note(&input::file_error(manifest, text));
        return Ok(ExitStatus::Success);
    }
    let store = args.cache.0.open()?;
    let distinct = distinct(&requests);
    let notes: Vec<String> = distinct
        .iter()
        .filter_map(|r| dropped_tag_note(r))
        .collect();
    if args.dry_run {
        notes.iter().for_each(|note| output::print_stderr(note));
        return dry_run::run(
            &args.run,
            &args.skopeo,
            args.format,
            &store,
            &requests,
            &cancel,
        );
    }

    let progress = Progress::new(mode, distinct.len(), &options);
    notes.iter().for_each(|note| progress.note(note));

    let log = args
        .run
        .audit_log()
        .map(|log| LogWriter::open(log, &cancel));
    let log = log.transpose()?;
    let note = |text: &str| progress.note(text);
    let runner = DebugRunner {
        skopeo: &binary,
        print: &note,
    };
    let session = Session::begin(SessionConfig {
        performer: Performer {
            store: &store,
            source: ByteSource::Skopeo(Skopeo {
                runner: &runner,
                options: &options,
                command_timeout: args.skopeo.command_timeout(),
            }),
            retry_delay: args.skopeo.retry_delay(),
            cancel: &cancel,
        },
        policy: args.run.policy(args.skopeo.attempts()),
        jobs: args.run.jobs(),
        log: log.as_ref(),
        display: &progress,
        warn: &note,
    })?;
    let (mut status, mut printed) = (ExitStatus::Success, Ok(()));
    session.fetch(&requests, |report| {
        if let Err(failed) = &report.result {
            status = status.and(ExitStatus::of_cause(failed.cause()));
        }
        if printed.is_ok() {
            printed = print(args.format, report, &store);
        }
    });
    let ended = session.end();
    // A checkpoint takes reading the whole log.
    let shown = log.as_ref().filter(|_| mode != ProgressMode::None);
    let checkpoint = shown.and_then(|log| log.checkpoint().ok());
    progress.finish(started.elapsed(), checkpoint.as_ref());
    printed?;
    ended?;
    Ok(status)
}

fn print(format: Format, report: &FetchReport, store: &Store) -> Result<(), CliError> {
    match (format, &report.result) {
        (Format::Json, _) => json_line(&output::result_json(report, store.root())),
        (Format::Text, Ok(_)) => {
            output::line(&store.object(report.request.digest()).display().to_string())
        }
        (Format::Text, Err(_)) => Ok(()),
    }
}

/// Each request once, in their order.
fn distinct(requests: &[Request]) -> Vec<&Request> {
    let mut seen = HashSet::new();
    requests
        .iter()
        .filter(|request| seen.insert(*request))
        .collect()
}

/// Says that a request's tag is not passed to skopeo.
fn dropped_tag_note(request: &Request) -> Option<String> {
    let tag = request.dropped_tag()?;
    Some(format!(
        "{request}: the tag \"{tag}\" is ignored, because the digest decides what is fetched"
    ))
}
