//! The bytes are in the cache, durably.

use std::marker::PhantomData;

use super::{Classified, Content, Pending, Placed, Task, Verified};
use crate::index::{NotAnIndex, Summary};

/// The object is in the cache, whole and durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<C> {
    task: Task,
    index: Summary,
    size: u64,
    provenance: Provenance,
    quarantined: Option<String>,
    of: PhantomData<C>,
}

/// How the object came to be in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// It was there, and its bytes were hashed again.
    Hit,
    /// It was fetched.
    Fetched {
        /// Attempts at copying, the successful one included.
        attempts: u32,
        /// How it got to its place.
        placed: Placed,
    },
}

/// Why the cache's object can't be used.
pub(super) enum Unfit {
    /// Its bytes don't hash to its name.
    Corrupt,
    /// They do, and are no index.
    NotAnIndex(NotAnIndex),
}

impl<C: Content> Committed<C> {
    /// The cache's own object, if it is what was asked for.
    pub(super) fn hit(pending: Pending, content: &C) -> Result<Self, (Pending, Unfit)> {
        let facts = content.facts();
        if facts.digest != pending.task().request.digest() {
            return Err((pending, Unfit::Corrupt));
        }
        let index = match &facts.read_as {
            Classified::Index(index) => index.clone(),
            Classified::NotAnIndex(why) => return Err((pending, Unfit::NotAnIndex(why.clone()))),
        };
        let (task, quarantined) = pending.into_parts();
        let (size, provenance) = (facts.size, Provenance::Hit);
        Ok(Self {
            task,
            index,
            size,
            provenance,
            quarantined,
            of: PhantomData,
        })
    }

    /// What was read back from the cache, if it is what was verified.
    pub(super) fn published(
        verified: Verified<C>,
        read_back: &C,
        placed: Placed,
    ) -> Result<Self, Verified<C>> {
        if read_back != verified.content() {
            return Err(verified);
        }
        let inspected = verified.into_inspected();
        let (index, size) = (inspected.index().clone(), read_back.facts().size);
        let staged = inspected.into_staged();
        let provenance = Provenance::Fetched {
            attempts: staged.attempt(),
            placed,
        };
        let (task, quarantined) = staged.into_parts();
        Ok(Self {
            task,
            index,
            size,
            provenance,
            quarantined,
            of: PhantomData,
        })
    }
}

impl<C> Committed<C> {
    /// What was fetched, and how.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// What the index holds.
    #[must_use]
    pub const fn index(&self) -> &Summary {
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

    /// Attempts at copying; 0 for a hit.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        match self.provenance {
            Provenance::Hit => 0,
            Provenance::Fetched { attempts, .. } => attempts,
        }
    }

    /// Where a corrupt object was moved to, if there was one.
    #[must_use]
    pub fn quarantined(&self) -> Option<&str> {
        match &self.provenance {
            Provenance::Fetched {
                placed: Placed::Replaced(name),
                ..
            } => Some(name),
            _ => self.quarantined.as_deref(),
        }
    }
}
