//! `skopeo-index verify`.

use serde_json::json;

use super::exit::Status;
use super::options::{CacheArgs, Format, Sharing};
use super::output::{self, Problem};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::index::Index;
use crate::store::{Aside, Fault, RealDisk, Seen, Store};

/// Rehash the cache and say what is sound, corrupt or left over
///
/// Without digests, every object is looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which objects to look at
    #[arg(value_name = "DIGEST")]
    digests: Vec<Digest>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Move corrupt objects aside, and sweep what dead processes left
    #[arg(long)]
    quarantine: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What an object is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Found {
    /// An index, and its bytes hash to its name.
    Sound,
    /// Its bytes hash to its name, and are no index: another source's.
    NotAnIndex,
    Corrupt,
    Missing,
}

pub(super) fn run(args: &Args) -> Result<Status, Problem> {
    if args.quarantine
        && args.digests.is_empty()
        && args.cache.sharing() == Sharing::WithOtherSources
    {
        return Err(Problem::usage(
            "other sources keep objects in an osbuild store: say which to quarantine by their digests",
        ));
    }
    let store = args.cache.open()?;
    let digests = match args.digests.as_slice() {
        [] => store.objects().map_err(problem)?,
        digests => digests.to_vec(),
    };
    let (mut counts, mut status) = ([0_usize; 4], Status::Done);
    for digest in digests {
        let found = look(&store, digest)?;
        counts[found.clone() as usize] += 1;
        let aside = match found {
            Found::Corrupt if args.quarantine => moved(&store, digest)?,
            _ => None,
        };
        if status == Status::Done {
            status = match found {
                Found::Sound => Status::Done,
                // Another source's, unless it was asked for by name.
                Found::NotAnIndex if args.digests.is_empty() => Status::Done,
                Found::NotAnIndex => Status::NotAnIndex,
                Found::Corrupt => Status::Corrupt,
                Found::Missing => Status::NotFound,
            };
        }
        tell(args.format, digest, &found, aside.as_deref())?;
    }
    let quarantined = store.quarantined().map_err(problem)?;
    let left_over = match args.quarantine {
        true => store.sweep().map_err(problem)?,
        false => store.left_over().map_err(problem)?,
    };
    let [sound, others, corrupt, missing] = counts;
    match args.format {
        Format::Json => output::json_line(&json!({
            "cache": store.root(), "sound": sound, "notAnIndex": others, "corrupt": corrupt,
            "missing": missing, "quarantined": quarantined, "leftOver": left_over,
        }))?,
        Format::Text => {
            let swept = if args.quarantine {
                "swept"
            } else {
                "left over"
            };
            left_over
                .iter()
                .try_for_each(|name| output::line(&format!("{swept}\t{name}")))?;
            output::line(&format!(
                "{sound} sound, {corrupt} corrupt, {missing} missing, {others} not an index; \
                 {} in quarantine, {} {swept}",
                quarantined.len(),
                left_over.len()
            ))?;
        }
    }
    Ok(status)
}

fn look(store: &Store<RealDisk>, digest: Digest) -> Result<Found, Problem> {
    Ok(match store.read(digest).map_err(problem)? {
        Seen::Absent => Found::Missing,
        seen if !seen.hashes_to(digest) => Found::Corrupt,
        Seen::Bytes(bytes) if Index::parse(&bytes).is_ok() => Found::Sound,
        _ => Found::NotAnIndex,
    })
}

fn moved(store: &Store<RealDisk>, digest: Digest) -> Result<Option<String>, Problem> {
    let cancel = Cancel::new(None).map_err(|error| Problem::other(error.to_string()))?;
    match store.quarantine(digest, &cancel).map_err(problem)? {
        Aside::Moved(name) => Ok(Some(name)),
        Aside::Left(_) => Ok(None),
    }
}

fn tell(format: Format, digest: Digest, found: &Found, aside: Option<&str>) -> Result<(), Problem> {
    match format {
        Format::Json => {
            output::json_line(&json!({ "digest": digest, "found": found, "quarantined": aside }))
        }
        Format::Text => {
            let word = match found {
                Found::Sound => "sound",
                Found::NotAnIndex => return Ok(()),
                Found::Corrupt => "CORRUPT",
                Found::Missing => "MISSING",
            };
            let aside = aside.map_or_else(String::new, |name| format!("\tmoved to {name}"));
            output::line(&format!("{word}\t{digest}{aside}"))
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is a function for map_err"
)]
fn problem(fault: Fault) -> Problem {
    Problem::other(fault.to_string())
}
