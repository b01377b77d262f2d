//! The object is in the cache, whole and durable.

use std::marker::PhantomData;

use super::verified::Source;
use super::{
    Authenticated, CacheEntry, Content, Fetch, Placement, Staged, Staging, Task, Verified,
};
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
    /// An intact object of the cache.
    pub(super) fn hit(authenticated: Authenticated<C>) -> Fetch<C> {
        Self::commit(authenticated.into_verified(), Provenance::Hit)
    }

    /// Succeeds if the cache returned the verified bytes.
    pub(super) fn publish(
        authenticated: Authenticated<C>,
        read_back: &CacheEntry<C>,
        placement: Placement,
    ) -> Result<Fetch<C>, Authenticated<C>> {
        let verified = authenticated.verified();
        if !matches!(read_back, CacheEntry::File { content } if content == verified.content()) {
            return Err(authenticated);
        }
        let attempts = verified.staged().map_or(0, Staged::attempt);
        let provenance = Provenance::Fetched {
            attempts,
            placement,
        };
        Ok(Self::commit(authenticated.into_verified(), provenance))
    }

    fn commit(verified: Verified<C>, provenance: Provenance) -> Fetch<C> {
        let size = verified.content().info().size;
        let (source, index) = verified.into_parts();
        let (pending, staging) = match source {
            Source::Cache(pending) => (pending, None),
            Source::Fetched(staged) => {
                let (pending, staging) = staged.into_parts();
                (pending, Some(staging))
            }
        };
        let (task, quarantined) = pending.into_parts();
        Fetch::Committed(Self {
            task,
            index,
            size,
            provenance,
            quarantined,
            staging,
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
