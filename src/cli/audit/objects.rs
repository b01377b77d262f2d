//! Compares a cache with what a log tells of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::audit::{Finding, Lost, Objects, What};
use crate::cli::output::Problem;
use crate::digest::Digest;
use crate::index::Index;
use crate::store::{RealDisk, Seen, Store};

/// Tells what isn't in the cache as it was committed, and what is in it without a
/// record.
pub(super) fn check(
    committed: &BTreeMap<String, Objects>,
    cache: &Path,
    mut tell: impl FnMut(Finding) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut note = |what| tell(Finding { at: None, what });
    let (here, elsewhere) = of_cache(committed, cache);
    let objects = if here.is_empty() && !committed.is_empty() {
        note(What::NoSuchCache)?;
        committed.values().collect()
    } else {
        if elsewhere > 0 {
            note(What::OtherCaches(elsewhere))?;
        }
        here
    };
    let owned = |(digest, at): (&Digest, &u64)| (*digest, *at);
    let objects: Objects = objects.into_iter().flatten().map(owned).collect();
    let store = Store::new(cache.to_owned(), RealDisk);
    let failed = |fault: crate::store::Fault| Problem::other(fault.to_string());
    for (digest, at) in &objects {
        let is = match store.read(*digest).map_err(failed)? {
            Seen::Absent => Lost::Absent,
            seen if is_index(&seen, *digest) => continue,
            _ => Lost::Corrupt,
        };
        let what = What::Object {
            digest: *digest,
            is,
        };
        tell(Finding {
            at: Some(*at),
            what,
        })?;
    }
    for digest in store.objects().map_err(failed)? {
        if !objects.contains_key(&digest) && is_index(&store.read(digest).map_err(failed)?, digest)
        {
            let what = What::NoRecord(digest);
            tell(Finding { at: None, what })?;
        }
    }
    Ok(())
}

/// What was committed to a cache, and how many objects to others.
fn of_cache<'c>(committed: &'c BTreeMap<String, Objects>, cache: &Path) -> (Vec<&'c Objects>, u64) {
    let (cache, mut here, mut elsewhere) = (real(cache), Vec::new(), 0);
    for (recorded, objects) in committed {
        if real(Path::new(recorded)) == cache {
            here.push(objects);
        } else {
            elsewhere += objects.len() as u64;
        }
    }
    (here, elsewhere)
}

/// The directory that a path leads to, where it still leads to one.
fn real(cache: &Path) -> PathBuf {
    let absolute = || std::path::absolute(cache).unwrap_or_else(|_| cache.to_owned());
    cache.canonicalize().unwrap_or_else(|_| absolute())
}

fn is_index(seen: &Seen, digest: Digest) -> bool {
    matches!(seen, Seen::Bytes(bytes) if Digest::of(bytes) == digest && Index::parse(bytes).is_ok())
}
