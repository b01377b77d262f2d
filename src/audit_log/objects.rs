//! Compares a cache with the log of its fetches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skopeo_index_core::audit::{Finding, FindingKind, Objects};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::ObjectStatus;

use crate::os::PathError;
use crate::store::Store;

/// Reports committed objects that are no longer intact, and indexes in the cache without
/// a record.
///
/// # Errors
/// Where the cache can't be read, and those of `report`.
pub fn check_objects<E: From<PathError>>(
    committed: &BTreeMap<String, Objects>,
    cache: &Path,
    mut report: impl FnMut(Finding) -> Result<(), E>,
) -> Result<(), E> {
    let mut note = |kind| report(Finding { at: None, kind });
    let (here, elsewhere) = objects_of(committed, cache);
    let objects = if here.is_empty() && !committed.is_empty() {
        note(FindingKind::UnknownCache)?;
        committed.values().collect()
    } else {
        if elsewhere > 0 {
            note(FindingKind::OtherCaches(elsewhere))?;
        }
        here
    };
    let owned = |(digest, at): (&Digest, &u64)| (*digest, *at);
    let objects: Objects = objects.into_iter().flatten().map(owned).collect();
    let store = Store::at(cache.to_owned());
    for (&digest, &at) in &objects {
        let status = store.read(digest)?.status(digest);
        if !matches!(status, ObjectStatus::Intact { .. }) {
            let kind = FindingKind::Object { digest, status };
            report(Finding { at: Some(at), kind })?;
        }
    }
    for digest in store.objects()? {
        if !objects.contains_key(&digest)
            && let ObjectStatus::Intact { .. } = store.read(digest)?.status(digest)
        {
            let kind = FindingKind::UnrecordedObject(digest);
            report(Finding { at: None, kind })?;
        }
    }
    Ok(())
}

/// The objects that were committed to a cache, and the number of those in others.
fn objects_of<'c>(
    committed: &'c BTreeMap<String, Objects>,
    cache: &Path,
) -> (Vec<&'c Objects>, u64) {
    let (cache, mut here, mut elsewhere) = (resolved(cache), Vec::new(), 0);
    for (recorded, objects) in committed {
        if resolved(Path::new(recorded)) == cache {
            here.push(objects);
        } else {
            elsewhere += objects.len() as u64;
        }
    }
    (here, elsewhere)
}

/// A path without links, or absolute where it doesn't exist.
fn resolved(cache: &Path) -> PathBuf {
    let absolute = || std::path::absolute(cache).unwrap_or_else(|_| cache.to_owned());
    cache.canonicalize().unwrap_or_else(|_| absolute())
}
