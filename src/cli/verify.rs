//! `skopeo-index verify`.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use skopeo_index::os::CancelToken;
use skopeo_index::store::{DiskError, QuarantineOutcome, StaleStaging, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::{Escaped, json_text};
use skopeo_index_core::machine::{CancelReason, ObjectStatus};
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

/// What is in the cache's private directory; `None` where that can't be read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Leftovers {
    quarantined: Option<Vec<String>>,
    stale_staging: Option<Vec<String>>,
}

/// What became of an object that is corrupt, if it was to be quarantined.
#[derive(Default)]
struct Quarantine {
    /// Its new name, relative to the cache.
    name: Option<String>,
    /// Why it was not moved.
    error: Option<String>,
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
        let quarantine = match &object.status {
            Ok(ObjectStatus::Corrupt) if args.quarantine => {
                Quarantine::of(&store, digest, &cancel)?
            }
            _ => Quarantine::default(),
        };
        // Another source's object, unless its digest was given.
        let foreign = object.is_not_an_index() && everything && shared;
        if !foreign {
            status = status.and(object.exit_status());
        }
        match args.format {
            Format::Json => output::json_line(&object.json(&quarantine))?,
            Format::Text if foreign => {}
            Format::Text => output::line(&object.text(&quarantine))?,
        }
    }
    let (staging, action) = match args.quarantine {
        true => (store.sweep(), "removed"),
        false => (store.stale_staging(), "stale"),
    };
    let mut errors = Vec::new();
    let staging = staging.map_err(|error| errors.push(error)).ok();
    let quarantined = store.quarantined();
    let leftovers = Leftovers {
        quarantined: quarantined.map_err(|error| errors.push(error.into())).ok(),
        stale_staging: staging.map(
            |StaleStaging {
                 names,
                 errors: more,
             }| {
                errors.extend(more);
                names
            },
        ),
    };
    match args.format {
        Format::Json => output::json_line(&VerifyReport {
            cache: json_text(store.root()),
            counts,
            leftovers,
        })?,
        Format::Text => print_summary(&counts, &leftovers, action)?,
    }
    // Both have opened the private directory.
    errors.dedup_by_key(|error| error.to_string());
    if !args.quarantine {
        // Nothing there had to be changed.
        errors.retain(|error| !error.is_of_another_user());
    }
    Ok(status.and(CliError::print_all(errors)))
}

fn print_summary(counts: &Counts, leftovers: &Leftovers, action: &str) -> Result<(), CliError> {
    let Leftovers {
        quarantined,
        stale_staging,
    } = leftovers;
    for name in stale_staging.iter().flatten() {
        output::line(&format!("{action}\t{}", Escaped(name)))?;
    }
    let Counts {
        intact,
        not_an_index,
        corrupt,
        missing,
        unreadable,
    } = counts;
    let quarantined = quarantined.as_ref().map_or_else(
        || "quarantine unreadable".to_owned(),
        |names| format!("{} in quarantine", names.len()),
    );
    let staging = stale_staging.as_ref().map_or_else(
        || "staging directories unreadable".to_owned(),
        |names| match names.len() {
            1 => format!("1 {action} staging directory"),
            count => format!("{count} {action} staging directories"),
        },
    );
    output::line(&format!(
        "{intact} intact, {corrupt} corrupt, {missing} missing, {unreadable} unreadable, \
         {not_an_index} not an index; {quarantined}, {staging}"
    ))
}

impl Quarantine {
    /// Quarantines an object.
    ///
    /// # Errors
    /// Where the run was cancelled.
    fn of(store: &Store, digest: Digest, cancel: &CancelToken) -> Result<Self, CancelReason> {
        let (name, error) = match store.quarantine(digest, cancel) {
            Ok(QuarantineOutcome::Quarantined(name)) => (Some(name), None),
            Ok(QuarantineOutcome::Kept(_)) => (None, None),
            Err(DiskError::Io(error)) => (None, Some(error.to_string())),
            Err(DiskError::Cancelled(reason)) => return Err(reason),
        };
        Ok(Self { name, error })
    }
}

impl Object {
    fn json(&self, quarantine: &Quarantine) -> Value {
        json!({
            "digest": self.digest, "status": self.word(),
            "reason": self.reason().or_else(|| quarantine.error.clone()),
            "quarantined": quarantine.name,
        })
    }

    fn text(&self, Quarantine { name, error }: &Quarantine) -> String {
        let (label, digest) = (self.label(), self.digest);
        let reason = self.reason().map(|reason| format!("\t{reason}"));
        let moved = name.as_ref().map(|name| format!("\tmoved to {name}"));
        let not_moved = error.as_ref().map(|error| format!("\tnot moved: {error}"));
        let details = [reason, moved, not_moved].map(Option::unwrap_or_default);
        format!("{label}\t{digest}{}", details.concat())
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
