//! `skopeo-index verify`.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use skopeo_index::store::QuarantineOutcome;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::{Escaped, json_text};
use skopeo_index_core::machine::ObjectStatus;
use skopeo_index_core::request::Reference;

use super::cache::CacheLocation;
use super::exclusive::Exclusive;
use super::exit::ExitStatus;
use super::object::Object;
use super::options::{self, Format};
use super::output::{self, CliError};

/// Rehash the cache and report intact, corrupt and leftover objects
///
/// Without digests, every object is checked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Objects to check
    #[arg(value_name = "DIGEST", value_parser = digest)]
    digests: Vec<Digest>,
    #[command(flatten)]
    cache: Exclusive<CacheLocation>,
    /// Quarantine corrupt objects and remove leftovers of crashed runs
    #[arg(long)]
    quarantine: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Parses a digest, or a reference with one.
fn digest(text: &str) -> Result<Digest, String> {
    let error = match text.parse::<Digest>() {
        Ok(digest) => return Ok(digest),
        Err(error) => error,
    };
    let reference = text.parse::<Reference>().ok();
    match reference.and_then(|reference| reference.digest()) {
        Some(digest) => Ok(digest),
        None if Path::new(text).is_dir() => Err(format!("{error}; pass a cache with --cache")),
        None => Err(error.to_string()),
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    intact: usize,
    not_an_index: usize,
    corrupt: usize,
    missing: usize,
    unreadable: usize,
}

/// What is in the cache's private directory.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Leftovers {
    quarantined: Vec<String>,
    stale_staging: Vec<String>,
}

#[derive(Serialize)]
struct VerifyReport {
    cache: String,
    #[serde(flatten)]
    counts: Counts,
    #[serde(flatten)]
    leftovers: Leftovers,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let everything = args.digests.is_empty();
    let shared = args.cache.0.is_shared();
    if args.quarantine && everything && shared {
        return Err(CliError::usage(
            "--quarantine in an osbuild store requires digests: other sources keep objects there",
        ));
    }
    let store = args.cache.0.open_existing()?;
    let digests = match everything {
        true => store.objects()?,
        false => args.digests.clone(),
    };
    let cancel = options::cancel_token(None)?;
    let (mut counts, mut status) = (Counts::default(), ExitStatus::Success);
    for digest in digests {
        let object = Object::check(&store, digest);
        *counts.of(&object) += 1;
        let quarantined = match &object.status {
            Ok(ObjectStatus::Corrupt) if args.quarantine => {
                match store.quarantine(digest, &cancel)? {
                    QuarantineOutcome::Quarantined(name) => Some(name),
                    QuarantineOutcome::Kept(_) => None,
                }
            }
            _ => None,
        };
        // Another source's object, unless its digest was given.
        let foreign = object.is_not_an_index() && everything && shared;
        if !foreign {
            status = status.and(object.exit_status());
        }
        match args.format {
            Format::Json => output::json_line(&object.json(quarantined.as_deref()))?,
            Format::Text if foreign => {}
            Format::Text => output::line(&object.text(quarantined.as_deref()))?,
        }
    }
    let (stale_staging, action) = match args.quarantine {
        true => (store.sweep()?, "removed"),
        false => (store.stale_staging()?, "stale"),
    };
    let leftovers = Leftovers {
        quarantined: store.quarantined()?,
        stale_staging,
    };
    match args.format {
        Format::Json => output::json_line(&VerifyReport {
            cache: json_text(store.root()),
            counts,
            leftovers,
        })?,
        Format::Text => print_summary(&counts, &leftovers, action)?,
    }
    Ok(status)
}

fn print_summary(counts: &Counts, leftovers: &Leftovers, action: &str) -> Result<(), CliError> {
    for name in &leftovers.stale_staging {
        output::line(&format!("{action}\t{}", Escaped(name)))?;
    }
    let Counts {
        intact,
        not_an_index,
        corrupt,
        missing,
        unreadable,
    } = counts;
    output::line(&format!(
        "{intact} intact, {corrupt} corrupt, {missing} missing, {unreadable} unreadable, \
         {not_an_index} not an index; {} in quarantine, {} {action} staging directories",
        leftovers.quarantined.len(),
        leftovers.stale_staging.len()
    ))
}

impl Object {
    fn json(&self, quarantined: Option<&str>) -> Value {
        json!({
            "digest": self.digest, "status": self.word(), "reason": self.reason(),
            "quarantined": quarantined,
        })
    }

    fn text(&self, quarantined: Option<&str>) -> String {
        let word = self.label();
        let reason = self.reason().map(|reason| format!("\t{reason}"));
        let quarantined = quarantined.map(|name| format!("\tmoved to {name}"));
        let (reason, quarantined) = (reason.unwrap_or_default(), quarantined.unwrap_or_default());
        format!("{word}\t{}{reason}{quarantined}", self.digest)
    }
}

impl Counts {
    const fn of(&mut self, object: &Object) -> &mut usize {
        match &object.status {
            Ok(ObjectStatus::Intact { .. }) => &mut self.intact,
            Ok(ObjectStatus::NotAnIndex(_)) => &mut self.not_an_index,
            Ok(ObjectStatus::Corrupt) => &mut self.corrupt,
            Ok(ObjectStatus::Missing) => &mut self.missing,
            Err(_) => &mut self.unreadable,
        }
    }
}
