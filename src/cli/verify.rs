//! `skopeo-index verify`.

use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::cache::Cache;
use super::exit::Status;
use super::options::Format;
use super::output::{self, Problem};
use super::precedence::Meant;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::index::{Index, MANIFEST_MAX};
use crate::store::{Aside, Fault, RealDisk, Seen, Store};
use crate::text::Escaped;

/// Rehash the cache and say what is sound, corrupt or left over
///
/// Without digests, every object is looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which objects to look at
    #[arg(value_name = "DIGEST")]
    digests: Vec<Digest>,
    #[command(flatten)]
    cache: Meant<Cache>,
    /// Move corrupt objects aside, and sweep what dead processes left
    #[arg(long)]
    quarantine: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What an object is.
enum Found {
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
struct Rest {
    quarantined: Vec<String>,
    left_over: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<Status, Problem> {
    let everything = args.digests.is_empty();
    let shared = matches!(args.cache.0, Cache::InStore(_));
    if args.quarantine && everything && shared {
        return Err(Problem::usage(
            "other sources keep objects in an osbuild store: say which to quarantine by their digests",
        ));
    }
    let store = args.cache.0.open()?;
    is_there(store.root())?;
    let digests = match everything {
        true => store.objects().map_err(problem)?,
        false => args.digests.clone(),
    };
    let (mut counts, mut status) = (Counts::default(), Status::Done);
    for digest in digests {
        let found = look(&store, digest)?;
        *counts.of(&found) += 1;
        let aside = match found {
            Found::Corrupt if args.quarantine => moved(&store, digest)?,
            _ => None,
        };
        let of = match &found {
            // Another source's, unless it was asked for by name.
            Found::NotAnIndex(_) if everything && shared => Status::Done,
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
    let rest = Rest {
        quarantined: store.quarantined().map_err(problem)?,
        left_over: match args.quarantine {
            true => store.sweep().map_err(problem)?,
            false => store.left_over().map_err(problem)?,
        },
    };
    match args.format {
        Format::Json => output::json_line(&Sum {
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
struct Sum<'a> {
    cache: &'a Path,
    #[serde(flatten)]
    counts: Counts,
    #[serde(flatten)]
    rest: Rest,
}

fn summary(counts: &Counts, rest: &Rest, swept: &str) -> Result<(), Problem> {
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
fn is_there(cache: &Path) -> Result<(), Problem> {
    match std::fs::metadata(cache) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Problem::new(
            Status::NotFound,
            format!("there is no cache at {}", cache.display()),
        )),
        // Anything else is told where it is listed.
        _ => Ok(()),
    }
}

fn look(store: &Store<RealDisk>, digest: Digest) -> Result<Found, Problem> {
    Ok(match store.read(digest) {
        Err(fault @ Fault::Io { .. }) => Found::Unreadable(fault.to_string()),
        Err(halt) => return Err(problem(halt)),
        Ok(Seen::Absent) => Found::Missing,
        Ok(seen) if !seen.hashes_to(digest) => Found::Corrupt,
        Ok(Seen::Bytes(bytes)) => match Index::parse(&bytes) {
            Ok(_) => Found::Sound,
            Err(why) => Found::NotAnIndex(why.to_string()),
        },
        Ok(_) => Found::NotAnIndex(format!("more than {MANIFEST_MAX} bytes")),
    })
}

impl Counts {
    const fn of(&mut self, found: &Found) -> &mut usize {
        match found {
            Found::Sound => &mut self.sound,
            Found::NotAnIndex(_) => &mut self.not_an_index,
            Found::Corrupt => &mut self.corrupt,
            Found::Missing => &mut self.missing,
            Found::Unreadable(_) => &mut self.unreadable,
        }
    }
}

impl Found {
    const fn status(&self) -> Status {
        match self {
            Self::Sound => Status::Done,
            Self::NotAnIndex(_) => Status::NotAnIndex,
            Self::Corrupt => Status::Corrupt,
            Self::Missing => Status::NotFound,
            Self::Unreadable(_) => Status::Other,
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

fn moved(store: &Store<RealDisk>, digest: Digest) -> Result<Option<String>, Problem> {
    let cancel = Cancel::new(None).map_err(|error| Problem::other(error.to_string()))?;
    match store.quarantine(digest, &cancel).map_err(problem)? {
        Aside::Moved(name) => Ok(Some(name)),
        Aside::Left(_) => Ok(None),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is a function for map_err"
)]
fn problem(fault: Fault) -> Problem {
    Problem::other(fault.to_string())
}
