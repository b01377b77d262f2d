//! `skopeo-index prune`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;
use skopeo_index::os::CancelToken;
use skopeo_index::store::{NameRecord, NameRecords, Store};
use skopeo_index::units::DecimalBytes;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::{json_text, quote};
use skopeo_index_core::osbuild::{Pins, SOURCE};

use super::cache::CacheLocation;
use super::exclusive::Exclusive;
use super::exit::ExitStatus;
use super::input;
use super::list;
use super::object::Object;
use super::options::{self, Format};
use super::output::{self, CliError};

/// Remove indexes from the cache that are not needed any more
///
/// Without --yes, prints what would be removed. Removes only intact indexes whose names this
/// program has recorded. Don't run it while a build uses the cache: an index that the build
/// has just found there may go.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    cache: Exclusive<CacheLocation>,
    /// Keep the indexes of this osbuild manifest, its sources, or just the items of its
    /// skopeo-index source; can be repeated; - is stdin
    #[arg(long, value_name = "FILE")]
    keep_manifest: Vec<PathBuf>,
    /// Keep indexes that a run has used within this time, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Remove them
    #[arg(long)]
    yes: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    if args.keep_manifest.is_empty() && args.older_than.is_none() {
        let message = "nothing says what to keep; pass --keep-manifest FILE or --older-than TIME";
        return Err(CliError::usage(message));
    }
    let cancel = options::cancel_token(None)?;
    let (mut keep, others) = digests_to_keep(&args.keep_manifest, &cancel)?;
    if keep.is_empty() && args.older_than.is_none() {
        // It may be another file than was meant.
        let message = format!(
            "no manifest has items of {SOURCE}; to remove all indexes, pass \
                               --older-than 0s"
        );
        return Err(CliError::usage(message));
    }
    keep.extend(others);
    let store = args.cache.0.open_existing()?;
    let objects = HashSet::<Digest>::from_iter(store.objects()?);
    let records = store.name_records()?;
    let is_unused = |record: &NameRecord| {
        // A time in the future counts as now.
        let age = SystemTime::now().duration_since(record.used());
        let older_than = args.older_than.unwrap_or_default();
        age.unwrap_or_default() >= older_than
    };
    let mut unused = Vec::new();
    for (digest, record) in &records {
        if objects.contains(digest) && !keep.contains(digest) && is_unused(record) {
            let object = Object::check(&store, *digest);
            unused.extend(object.index().is_some().then_some(object));
        }
    }
    let mut errors = Vec::new();
    if args.yes && !records.is_empty() {
        let digests: Vec<Digest> = unused.iter().map(|object| object.digest).collect();
        let removed;
        (removed, errors) = store.prune(&digests, is_unused, &cancel);
        // Others were used in the meantime.
        unused.retain(|object| removed.contains(&object.digest));
    }
    print(args, &store, &unused, &records, objects.len())?;
    Ok(CliError::print_all(errors))
}

/// The digests of the manifests' items of this source, and of other sources of files: one
/// object may be an item of both.
fn digests_to_keep(
    manifests: &[PathBuf],
    cancel: &CancelToken,
) -> Result<(HashSet<Digest>, HashSet<Digest>), CliError> {
    let (mut ours, mut others) = (HashSet::new(), HashSet::new());
    for path in manifests {
        let json = input::read_input(path, cancel)?;
        let pins = input::parsed_manifest(path, Pins::parse(&json))?;
        for (key, _) in pins.items().iter() {
            let digest = key
                .parse::<Digest>()
                .map_err(|error| input::error(path, format_args!("item {}: {error}", quote(key))));
            ours.insert(digest?);
        }
        others.extend(pins.others());
        if pins.items().iter().next().is_none() {
            let note = format!("no items of {SOURCE}, nothing to keep");
            output::print_stderr(&input::about(path, note));
        }
    }
    Ok((ours, others))
}

fn print(
    args: &Args,
    store: &Store,
    unused: &[Object],
    records: &NameRecords,
    objects: usize,
) -> Result<(), CliError> {
    let (mut bytes, kept) = (0, objects - unused.len());
    let word = if args.yes { "removed" } else { "would remove" };
    for object in unused {
        let record = records.get(&object.digest);
        let size = object.index().map_or(0, |(_, size)| size);
        bytes += size;
        match args.format {
            Format::Json => output::json_line(&list::json(object, record))?,
            Format::Text => {
                let names = record.map(|record| record.names().join(", "));
                let (size, names) = (DecimalBytes(size), names.unwrap_or_default());
                output::line(&format!("{word}\t{}\t{size}\t{names}", object.digest))?;
            }
        }
    }
    let (count, size) = (unused.len(), DecimalBytes(bytes));
    match (args.format, args.yes) {
        (Format::Json, removed) => output::json_line(&json!({
            "cache": json_text(store.root()), "removed": removed, "unused": count,
            "bytes": bytes, "kept": kept,
        })),
        (Format::Text, true) => output::line(&format!("{count} removed, {size}; {kept} kept")),
        (Format::Text, false) => {
            let how = if count > 0 {
                "; remove them with --yes"
            } else {
                ""
            };
            output::line(&format!(
                "{count} would be removed, {size}; {kept} kept{how}"
            ))
        }
    }
}
