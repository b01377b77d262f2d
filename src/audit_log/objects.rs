//! Compares a cache with the log of its fetches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skopeo_index_core::audit::{Finding, FindingKind, Objects};
use skopeo_index_core::escape::json_text;
use skopeo_index_core::machine::ObjectStatus;

use crate::os::{PathError, absolute};
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
    let mut note = |at, kind| report(Finding { at, kind });
    // One that is not UTF-8 is recorded in another form than its own.
    let (path, text) = (resolved(cache), json_text(absolute(cache)));
    let is_here =
        |(recorded, _): &(&String, _)| **recorded == text || resolved(Path::new(recorded)) == path;
    let (mut objects, elsewhere): (Vec<_>, Vec<_>) = committed.iter().partition(is_here);
    let others: usize = elsewhere.iter().map(|(_, objects)| objects.len()).sum();
    if objects.is_empty() && !elsewhere.is_empty() {
        note(None, FindingKind::UnknownCache)?;
        objects = elsewhere;
    } else if others > 0 {
        note(None, FindingKind::OtherCaches(others as u64))?;
    }
    let objects = objects.into_iter().flat_map(|(_, objects)| objects);
    let objects: Objects = objects.map(|(digest, at)| (*digest, *at)).collect();
    let store = Store::at(cache.to_owned());
    for (&digest, &at) in &objects {
        let status = store.read(digest)?.status(digest);
        if !matches!(status, ObjectStatus::Intact { .. }) {
            note(Some(at), FindingKind::Object { digest, status })?;
        }
    }
    for digest in store.objects()? {
        if !objects.contains_key(&digest)
            && let ObjectStatus::Intact { .. } = store.read(digest)?.status(digest)
        {
            note(None, FindingKind::UnrecordedObject(digest))?;
        }
    }
    Ok(())
}

/// A path without links, or absolute where it doesn't exist.
fn resolved(cache: &Path) -> PathBuf {
    cache.canonicalize().unwrap_or_else(|_| absolute(cache))
}
