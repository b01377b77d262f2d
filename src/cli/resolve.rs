//! `skopeo-index resolve`.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::Builder;

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use skopeo_index::fetch::{self, FetchId, RetryPolicy};
use skopeo_index::os::{CancelToken, best_effort};
use skopeo_index::skopeo::Skopeo;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::quote;
use skopeo_index_core::index::Index;
use skopeo_index_core::request::{Location, Request, StorageLocation, TlsVerify, Transport};

use super::debug::DebugRunner;
use super::exclusive::Exclusive;
use super::exit::ExitStatus;
use super::hint::{AskedBy, HintContext};
use super::input::ReferenceDefaults;
use super::location::LocationDefaults;
use super::options::{JobsArgs, SkopeoArgs};
use super::output::{self, CliError};
use super::progress::{Display, ProgressArgs, retry_note};

/// Resolve a tag to its index digest, in the form `fetch` accepts
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Images to resolve
    #[arg(value_name = "NAME[:TAG]", required = true)]
    names: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "reference")]
    format: ResolveFormat,
    #[command(flatten)]
    jobs: JobsArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    locations: Exclusive<LocationDefaults>,
    #[command(flatten)]
    skopeo: SkopeoArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ResolveFormat {
    /// NAME@DIGEST, one per line
    Reference,
    /// Items of an osbuild manifest
    Osbuild,
    /// JSON Lines with media type, platforms and size
    Json,
}

/// The index of a tag.
struct Resolved {
    request: Request,
    index: Index,
    size: usize,
}

pub(super) fn run(args: Args) -> Result<ExitStatus, CliError> {
    let cancel = args.skopeo.cancel_on_signals()?;
    let display = args.progress.display(args.names.len());
    let (mut status, mut items, mut printed) = (ExitStatus::Success, Map::new(), Ok(()));
    let work = |at, name: &String| {
        display.began(FetchId(at), name.clone(), "resolving".to_owned());
        let result = resolve(name, &args, &display, &cancel);
        display.ended(FetchId(at), result.is_ok());
        result
    };
    map_in_order(args.jobs.jobs, &args.names, work, |result| match result {
        Ok(resolved) if printed.is_ok() => match args.format {
            ResolveFormat::Reference => printed = output::line(&resolved.reference()),
            ResolveFormat::Json => printed = output::json_line(&resolved.json()),
            ResolveFormat::Osbuild => {
                let key = resolved.request.digest().to_string();
                if let Some(replaced) = items.insert(key, resolved.item())
                    && replaced != resolved.item()
                {
                    output::print_stderr(&duplicate_note(&replaced, &resolved));
                }
            }
        },
        Ok(_) => {}
        Err(error) => {
            display.failed(&error);
            status = status.and(error.status);
        }
    });
    printed?;
    if let ResolveFormat::Osbuild = args.format {
        output::line(&format!("{:#}", Value::Object(items)))?;
    }
    Ok(status)
}

/// Works on `jobs` items at once, and delivers the results in their order.
fn map_in_order<I: Sync, T: Send>(
    jobs: NonZeroUsize,
    items: &[I],
    work: impl Fn(usize, &I) -> T + Sync,
    mut deliver: impl FnMut(T),
) {
    let (next, (sender, results)) = (AtomicUsize::new(0), mpsc::channel());
    let drain = |sender: &mpsc::Sender<_>| {
        let take = || next.fetch_add(1, Ordering::Relaxed);
        while let Some((at, item)) = Some(take()).and_then(|at| Some((at, items.get(at)?))) {
            // The receiver lives as long as the workers.
            best_effort(sender.send((at, work(at, item))));
        }
    };
    std::thread::scope(|scope| {
        let drain = &drain;
        let spawn = |sender: mpsc::Sender<_>| {
            let spawned = Builder::new().spawn_scoped(scope, move || drain(&sender));
            spawned.is_ok()
        };
        let workers = jobs.get().min(items.len());
        // If the system has no more threads, fewer workers do the work.
        if (0..workers).take_while(|_| spawn(sender.clone())).count() == 0 {
            drain(&sender);
        }
        drop(sender);
        let (mut waiting, mut position) = (HashMap::new(), 0);
        for (at, result) in results {
            waiting.insert(at, result);
            while let Some(result) = waiting.remove(&position) {
                deliver(result);
                position += 1;
            }
        }
    });
}

/// Says that two names have one digest: an item has one name.
fn duplicate_note(replaced: &Value, by: &Resolved) -> String {
    let (digest, name) = (by.request.digest(), by.request.name());
    let first = replaced["image"]["name"].as_str().unwrap_or_default();
    format!("{first} and {name} have the same digest, {digest}; the item names {name}")
}

fn resolve(
    text: &str,
    args: &Args,
    display: &Display,
    cancel: &CancelToken,
) -> Result<Resolved, CliError> {
    let usage = |reason: String| CliError::usage(format!("{}: {reason}", quote(text)));
    let defaults = ReferenceDefaults {
        locations: &args.locations.0,
        skopeo: &args.skopeo,
    };
    let reference = defaults.parse(text).map_err(usage)?;
    if reference.digest().is_some() {
        return Err(usage("the reference has a digest already".to_owned()));
    }
    let location = defaults.location(&reference);
    let (options, print) = (args.skopeo.options(), &|text: &str| display.note(text));
    let skopeo = Skopeo {
        runner: &DebugRunner {
            skopeo: &args.skopeo.binary(),
            print,
        },
        options: &options,
        command_timeout: args.skopeo.command_timeout(),
    };
    let retry = RetryPolicy {
        attempts: args.skopeo.attempts(),
        delay: args.skopeo.retry_delay(),
    };
    let name = reference.name();
    let note = |attempt, error: &_| print(&retry_note(&reference.to_string(), attempt, error));
    let bytes = fetch::resolve(&skopeo, &location, name, retry, cancel, &note);
    let context = HintContext::new(&options, &location, name, AskedBy::Tag);
    let bytes = bytes.map_err(|error| {
        let message = format!("{reference}: {error}");
        CliError::new(ExitStatus::of_error(&error), message).hint(context.of_error(&error))
    })?;
    let index = Index::parse(&bytes).map_err(|reason| {
        let message = format!("{reference}: not an image index: {reason}");
        CliError::new(ExitStatus::NotAnIndex, message).hint(context.of_not_an_index(&reason))
    })?;
    Ok(Resolved {
        request: Request::new(name.clone(), location, Digest::of(&bytes)),
        index,
        size: bytes.len(),
    })
}

impl Resolved {
    /// In the form that `fetch` accepts.
    fn reference(&self) -> String {
        let (name, digest) = (self.request.name(), self.request.digest());
        match self.request.location() {
            Location::Docker { .. } => format!("{}@{digest}", name.without_tag()),
            Location::ContainersStorage { .. } => self.request.skopeo_source(),
        }
    }

    fn item(&self) -> Value {
        let name = self.request.name();
        let image = match self.request.location() {
            Location::Docker { tls_verify } => match tls_verify {
                TlsVerify::Unset => json!({ "name": name.without_tag() }),
                TlsVerify::ItemTrue | TlsVerify::Always => {
                    json!({ "name": name.without_tag(), "tls-verify": true })
                }
                TlsVerify::Never => json!({ "name": name.without_tag(), "tls-verify": false }),
            },
            Location::ContainersStorage { location } => json!({
                "name": name,
                "containers-transport": Transport::ContainersStorage,
                "storage-location": location.as_ref().map_or("", StorageLocation::as_str),
            }),
        };
        json!({ "image": image })
    }

    fn json(&self) -> Value {
        let summary = self.index.summary();
        json!({
            "reference": self.reference(),
            "source": self.request.skopeo_source(),
            "digest": self.request.digest(),
            "mediaType": summary.media_type,
            "manifests": summary.manifests,
            "platforms": summary.platforms,
            "size": self.size,
        })
    }
}
