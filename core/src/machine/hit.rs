//! An intact object in the cache.

use super::{CacheEntry, Content, ObjectStatus, Pending};
use crate::index::IndexSummary;

/// Evidence that the cache has the requested object: an index whose bytes hash to its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit<C> {
    pub(super) pending: Pending,
    pub(super) content: C,
    pub(super) index: IndexSummary,
}

impl<C: Content> Hit<C> {
    /// Succeeds if the object is intact; otherwise returns its status.
    pub(super) fn find(
        pending: Pending,
        entry: CacheEntry<C>,
    ) -> Result<Self, (Pending, ObjectStatus)> {
        match (entry.status(pending.task().request.digest()), entry) {
            (ObjectStatus::Intact { index, .. }, CacheEntry::File { content }) => Ok(Self {
                pending,
                content,
                index,
            }),
            (status, _) => Err((pending, status)),
        }
    }
}
