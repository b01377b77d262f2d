//! `skopeo-index verify`.

use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::cache::Cache;
use super::exit::ExitStatus;
use super::options::Format;
use super::output::{self, CliError};
use super::precedence::Exclusive;
use skopeo_index::os::CancelToken;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{Index, MAX_MANIFEST_SIZE};
use skopeo_index::store::{DiskError, QuarantineOutcome, RealDisk, Seen, Store};
use skopeo_index_core::escape::Escaped;

/// Rehash the cache and say what is sound, corrupt or left over
///
/// Without digests, every object is looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which objects to look at
    #[arg(value_name = "DIGEST")]
    digests: Vec<Digest>,
    #[command(flatten)]
    cache: Exclusive<Cache>,
    /// Move corrupt objects aside, and sweep what dead processes left
    #[arg(long)]
    quarantine: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What an object is.
enum ObjectReport {
    /// An index, and its bytes hash to its name.
    Sound,
    /// Its bytes hash to its name, and are no index, for this reason.
    NotAnIndex(String),
    Corrupt,
    Missing,
    /// What the system said.
    Unreadable(String),
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    sound: usize,
    not_an_index: usize,
    corrupt: usize,
    missing: usize,
    unreadable: usize,
}

/// What lies in a cache beside its objects.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Leftovers {
    quarantined: Vec<String>,
    left_over: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let everything = args.digests.is_empty();
    let shared = matches!(args.cache.0, Cache::InStore(_));
    if args.quarantine && everything && shared {
        return Err(CliError::usage(
            "other sources keep objects in an osbuild store: say which to quarantine by their digests",
        ));
    }
    let store = args.cache.0.open()?;
    is_there(store.root())?;
    let digests = match everything {
        true => store.objects().map_err(problem)?,
        false => args.digests.clone(),
    };
    let (mut counts, mut status) = (Counts::default(), ExitStatus::Done);
    for digest in digests {
        let found = look(&store, digest)?;
        *counts.of(&found) += 1;
        let aside = match found {
            ObjectReport::Corrupt if args.quarantine => moved(&store, digest)?,
            _ => None,
        };
        let of = match &found {
            // Another source's, unless it was asked for by name.
            ObjectReport::NotAnIndex(_) if everything && shared => ExitStatus::Done,
            found => found.status(),
        };
        status = status.and(of);
        match args.format {
            Format::Json => output::json_line(&found.json(digest, aside.as_deref()))?,
            Format::Text if of == found.status() => {
                output::line(&found.text(digest, aside.as_deref()))?;
            }
            Format::Text => {}
        }
    }
    let rest = Leftovers {
        quarantined: store.quarantined().map_err(problem)?,
        left_over: match args.quarantine {
            true => store.sweep().map_err(problem)?,
            false => store.left_over().map_err(problem)?,
        },
    };
    match args.format {
        Format::Json => output::json_line(&VerifyReport {
            cache: store.root(),
            counts,
            rest,
        })?,
        Format::Text => summary(
            &counts,
            &rest,
            if args.quarantine {
                "swept"
            } else {
                "left over"
            },
        )?,
    }
    Ok(status)
}

#[derive(Serialize)]
struct VerifyReport<'a> {
    cache: &'a Path,
    #[serde(flatten)]
    counts: Counts,
    #[serde(flatten)]
    rest: Leftovers,
}

fn summary(counts: &Counts, rest: &Leftovers, swept: &str) -> Result<(), CliError> {
    let names = rest.left_over.iter();
    names
        .map(|name| format!("{swept}\t{}", Escaped(name)))
        .try_for_each(|text| output::line(&text))?;
    let Counts {
        sound,
        not_an_index,
        corrupt,
        missing,
        unreadable,
    } = counts;
    output::line(&format!(
        "{sound} sound, {corrupt} corrupt, {missing} missing, {unreadable} unreadable, \
         {not_an_index} not an index; {} in quarantine, {} {swept}",
        rest.quarantined.len(),
        rest.left_over.len()
    ))
}

/// A cache that isn't there has nothing sound in it.
fn is_there(cache: &Path) -> Result<(), CliError> {
    match std::fs::metadata(cache) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(CliError::new(
            ExitStatus::NotFound,
            format!("there is no cache at {}", cache.display()),
        )),
        // Anything else is told where it is listed.
        _ => Ok(()),
    }
}

fn look(store: &Store<RealDisk>, digest: Digest) -> Result<ObjectReport, CliError> {
    Ok(match store.read(digest) {
        Err(fault @ DiskError::Io { .. }) => ObjectReport::Unreadable(fault.to_string()),
        Err(halt) => return Err(problem(halt)),
        Ok(Seen::Absent) => ObjectReport::Missing,
        Ok(seen) if !seen.hashes_to(digest) => ObjectReport::Corrupt,
        Ok(Seen::Bytes(bytes)) => match Index::parse(&bytes) {
            Ok(_) => ObjectReport::Sound,
            Err(why) => ObjectReport::NotAnIndex(why.to_string()),
        },
        Ok(_) => ObjectReport::NotAnIndex(format!("more than {MANIFEST_MAX} bytes")),
    })
}

impl Counts {
    const fn of(&mut self, found: &ObjectReport) -> &mut usize {
        match found {
            ObjectReport::Sound => &mut self.sound,
            ObjectReport::NotAnIndex(_) => &mut self.not_an_index,
            ObjectReport::Corrupt => &mut self.corrupt,
            ObjectReport::Missing => &mut self.missing,
            ObjectReport::Unreadable(_) => &mut self.unreadable,
        }
    }
}

impl ObjectReport {
    const fn status(&self) -> ExitStatus {
        match self {
            Self::Sound => ExitStatus::Done,
            Self::NotAnIndex(_) => ExitStatus::NotAnIndex,
            Self::Corrupt => ExitStatus::Corrupt,
            Self::Missing => ExitStatus::NotFound,
            Self::Unreadable(_) => ExitStatus::Other,
        }
    }

    fn why(&self) -> Option<&str> {
        match self {
            Self::NotAnIndex(why) | Self::Unreadable(why) => Some(why),
            Self::Sound | Self::Corrupt | Self::Missing => None,
        }
    }

    fn json(&self, digest: Digest, aside: Option<&str>) -> Value {
        let found = match self {
            Self::Sound => "sound",
            Self::NotAnIndex(_) => "not-an-index",
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
        };
        json!({ "digest": digest, "found": found, "why": self.why(), "quarantined": aside })
    }

    fn text(&self, digest: Digest, aside: Option<&str>) -> String {
        let found = match self {
            Self::Sound => "sound",
            Self::NotAnIndex(_) => "NOT AN INDEX",
            Self::Corrupt => "CORRUPT",
            Self::Missing => "MISSING",
            Self::Unreadable(_) => "UNREADABLE",
        };
        let why = self
            .why()
            .map_or_else(String::new, |why| format!("\t{why}"));
        let aside = aside.map_or_else(String::new, |name| format!("\tmoved to {name}"));
        format!("{found}\t{digest}{why}{aside}")
    }
}

fn moved(store: &Store<RealDisk>, digest: Digest) -> Result<Option<String>, CliError> {
    let cancel = CancelToken::new(None).map_err(|error| CliError::other(error.to_string()))?;
    match store.quarantine(digest, &cancel).map_err(problem)? {
        QuarantineOutcome::Quarantined(name) => Ok(Some(name)),
        QuarantineOutcome::Kept(_) => Ok(None),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is a function for map_err"
)]
fn problem(fault: DiskError) -> CliError {
    CliError::other(fault.to_string())
}
