//! `skopeo-index fetch`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};
use skopeo_index::audit_log::{LogWriter, check_checkpoint_file};
use skopeo_index::fetch::{FetchReport, Performer};
use skopeo_index::os::best_effort;
use skopeo_index::registry::RegistryClient;
use skopeo_index::session::{Session, SessionConfig};
use skopeo_index::store::Store;
use skopeo_index_core::escape::json_text;
use skopeo_index_core::machine::Provenance;
use skopeo_index_core::osbuild::SOURCE;
use skopeo_index_core::request::Request;

use super::audit::SigningArgs;
use super::cache::CacheLocation;
use super::debug::DebugRunner;
use super::dry_run::DryRun;
use super::exclusive::Exclusive;
use super::exit::ExitStatus;
use super::image_args::ImageArgs;
use super::input;
use super::options::{Format, RunArgs, cancel_on_signals};
use super::output::{self, CliError, json_line};
use super::progress::{Progress, ProgressArgs};

/// Fetch indexes into a cache
///
/// Prints the path of each object, in the order of the request.
#[derive(clap::Args)]
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
    /// Write a checkpoint of the audit log to this file at the end of the run
    #[arg(
        long,
        value_name = "FILE",
        env = "SKOPEO_INDEX_CHECKPOINT",
        requires = "audit_log"
    )]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    signing: Exclusive<SigningArgs>,
    /// Print what would be fetched and the commands that would run
    #[arg(long)]
    dry_run: bool,
    /// Output format of results
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    images: ImageArgs,
}

pub(super) fn run(args: Args) -> Result<ExitStatus, CliError> {
    let progress = args.progress;
    progress.report(fetch(args))
}

fn fetch(mut args: Args) -> Result<ExitStatus, CliError> {
    if args.dry_run {
        args.images.credentials.0.skip_prompt();
    }
    let skopeo_args = &args.images.skopeo;
    let signing_key = match &args.checkpoint {
        Some(to) => {
            let key = args.signing.0.read()?;
            let checked = check_checkpoint_file(to, key.as_ref());
            checked.map_err(|error| CliError::usage(error.to_string()))?;
            key
        }
        None => {
            let signing = &args.signing.0;
            signing.reject_option("--signing-key needs --checkpoint")?;
            None
        }
    };
    let labels = args.run.labels()?;
    let started = Instant::now();
    let cancel = cancel_on_signals(skopeo_args.deadline)?;
    let binary = skopeo_args.binary();
    let manifest = args.manifest.as_deref();
    args.images.credentials.0.reject_stdin(manifest)?;
    let requests = input::requests(&args.references, manifest, &args.images, &cancel)?;
    if let ([], Some(manifest)) = (requests.as_slice(), manifest) {
        let text = format!("no items of {SOURCE}, nothing to fetch");
        let display = args.progress.display(0);
        display.note(&input::about(manifest, text));
        // The log records the run all the same.
        if args.dry_run || args.run.audit_log.is_none() {
            return Ok(ExitStatus::Success);
        }
    }
    let store = args.cache.0.open()?;
    let distinct = distinct(&requests);
    let notes: Vec<String> = distinct
        .iter()
        .filter_map(|r| dropped_tag_note(r))
        .collect();
    // Offline, nothing uses credentials.
    let images = requests.iter().filter(|_| !args.run.offline);
    let images = images.map(|r| (r.location(), r.name()));
    let login = args.images.log_in(images, &cancel)?;
    let options = &login.options;
    let inputs = args.run.gate_inputs(skopeo_args, options);
    let registry = RegistryClient::new(&inputs, &cancel, skopeo_args.command_timeout);
    if args.dry_run {
        let display = args.progress.display(0);
        notes.iter().for_each(|note| display.note(note));
        let dry_run = DryRun {
            run: &args.run,
            skopeo: skopeo_args,
            options,
            registry: &registry,
            format: args.format,
        };
        return dry_run.run(&store, &requests, &cancel);
    }

    let verifiers = args.run.verifiers.find(options)?;
    let progress = Progress {
        display: args.progress.display(distinct.len()),
        total: distinct.len(),
        options,
        cache: store.root(),
        verifiers: verifiers.as_deref(),
        summary: Mutex::default(),
    };
    let note = |text: &str| progress.display.note(text);
    notes.iter().for_each(|text| note(text));

    let log = args
        .run
        .audit_log
        .as_deref()
        .map(|log| LogWriter::open(log, &cancel));
    let log = log
        .transpose()?
        .map(|log| log.with_origin(args.run.origin.clone()));
    let runner = DebugRunner {
        skopeo: &binary,
        print: &note,
    };
    let skopeo = skopeo_args.skopeo(&runner, options);
    let session = Session::begin(SessionConfig {
        performer: Performer {
            store: &store,
            source: args
                .run
                .engine
                .engine
                .source(&registry, skopeo, skopeo_args.attempts()),
            verifiers: progress.verifiers,
            retry_delay: skopeo_args.retry_delay,
            cancel: &cancel,
        },
        policy: args.run.policy(skopeo_args.attempts()),
        jobs: args.run.jobs.jobs,
        log: log.as_ref(),
        labels: &labels,
        display: &progress,
        warn: &note,
    })?;
    let mut status = ExitStatus::Success;
    session.fetch_and_record_names(&requests, |report| {
        status = status.and(ExitStatus::of_result(&report.result));
        // What can't be written is reported at the end, and fetched nevertheless.
        best_effort(print(args.format, report, &store));
    });
    let ended = session.end();
    // A checkpoint takes reading the whole log.
    let shown = log.as_ref().filter(|_| !progress.display.is_none());
    let checkpoint = shown.and_then(|log| log.checkpoint().ok());
    progress.finish(
        started.elapsed(),
        args.run.audit_log.as_deref().zip(checkpoint),
    );
    ended?;
    if let (Some(log), Some(to)) = (&log, &args.checkpoint) {
        log.save_checkpoint(to, signing_key.as_ref())?;
    }
    Ok(status)
}

fn print(format: Format, report: &FetchReport, store: &Store) -> Result<(), CliError> {
    match (format, &report.result) {
        (Format::Json, _) => json_line(&result_json(report, store.root())),
        (Format::Text, Ok(_)) => output::path_line(&store.object(report.request.digest())),
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

/// The result of a fetch as a JSON object.
fn result_json(report: &FetchReport, cache: &Path) -> Value {
    let request = &report.request;
    let digest = request.digest();
    let mut json = match &report.result {
        Ok(committed) => json!({
            "success": true,
            "path": json_text(cache.join(digest.to_string())),
            "cached": *committed.provenance() == Provenance::Hit,
            "attempts": committed.attempts(),
            "size": committed.size(),
            "mediaType": committed.index().media_type,
            "manifests": committed.index().manifests,
            "platforms": committed.index().platforms,
        }),
        Err(failed) => json!({
            "success": false,
            "state": failed.state(),
            "attempts": failed.attempts(),
            "error": failed.cause().to_string(),
            "cause": failed.cause(),
        }),
    };
    json["reference"] = request.to_string().into();
    json["source"] = request.skopeo_source().into();
    json["digest"] = json!(digest);
    if let Ok(committed) = &report.result
        && let Some(name) = committed.quarantined()
    {
        json["quarantined"] = name.into();
    }
    if let Some(engine) = &report.engine {
        json["engine"] = json!(engine);
    }
    json
}
