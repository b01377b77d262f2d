//! The object is in the cache, whole and durable.

use std::marker::PhantomData;

use super::{CacheEntry, Content, ObjectStatus, Pending, Placement, Staging, Task, Verified};
use crate::index::IndexSummary;

/// The object is in the cache, whole and durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<C> {
    task: Task,
    index: IndexSummary,
    size: u64,
    provenance: Provenance,
    quarantined: Option<String>,
    staging: Option<Staging>,
    content: PhantomData<C>,
}

/// How the object came to be in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// It was in the cache, and its bytes were rehashed.
    Hit,
    /// It was fetched.
    Fetched {
        /// Attempts made, the successful one included.
        attempts: u32,
        /// How it got its name.
        placement: Placement,
    },
}

impl Provenance {
    /// `cached` or `fetched`, as progress and results show it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Hit => "cached",
            Self::Fetched { .. } => "fetched",
        }
    }
}

impl<C: Content> Committed<C> {
    /// Succeeds if the cache's object is intact; otherwise returns its status.
    pub(super) fn hit(
        pending: Pending,
        entry: &CacheEntry<C>,
    ) -> Result<Self, (Pending, ObjectStatus)> {
        match entry.status(pending.task().request.digest()) {
            ObjectStatus::Intact { index, size } => {
                let (task, quarantined) = pending.into_parts();
                Ok(Self {
                    task,
                    index,
                    size,
                    provenance: Provenance::Hit,
                    quarantined,
                    staging: None,
                    content: PhantomData,
                })
            }
            status => Err((pending, status)),
        }
    }

    /// Succeeds if the cache returned the verified bytes.
    pub(super) fn published(
        verified: Verified<C>,
        read_back: &CacheEntry<C>,
        placement: Placement,
    ) -> Result<Self, Verified<C>> {
        if !matches!(read_back, CacheEntry::File { content } if content == verified.content()) {
            return Err(verified);
        }
        let size = verified.content().info().size;
        let inspected = verified.into_inspected();
        let index = inspected.index().clone();
        let staged = inspected.into_staged();
        let provenance = Provenance::Fetched {
            attempts: staged.attempt(),
            placement,
        };
        let (task, staging, quarantined) = staged.into_parts();
        Ok(Self {
            task,
            index,
            size,
            provenance,
            quarantined,
            staging: Some(staging),
            content: PhantomData,
        })
    }
}

impl<C> Committed<C> {
    /// The request and the rules of its fetch.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// What the index holds.
    #[must_use]
    pub const fn index(&self) -> &IndexSummary {
        &self.index
    }

    /// Size of the object in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// How the object came to be in the cache.
    #[must_use]
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Attempts made; 0 for a hit.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        match self.provenance {
            Provenance::Hit => 0,
            Provenance::Fetched { attempts, .. } => attempts,
        }
    }

    /// Where a corrupt object was moved to.
    #[must_use]
    pub fn quarantined(&self) -> Option<&str> {
        match &self.provenance {
            Provenance::Fetched {
                placement: Placement::Replaced(name),
                ..
            } => Some(name),
            _ => self.quarantined.as_deref(),
        }
    }

    pub(super) const fn staging(&self) -> Option<&Staging> {
        self.staging.as_ref()
    }
}
