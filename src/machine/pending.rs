//! Nothing is known yet, or the cache has been looked at.

use super::committed::Unfit;
use super::{Cause, Committed, Content, Effect, Failed, Fetch, Network, Next, Outcome, Staged};
use super::{State, Task};
use crate::index::NotAnIndex;

/// The first state: what the cache holds is yet to be seen, or is known to be
/// of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    task: Task,
    object: Object,
}

/// What is known of the cache's object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Object {
    Unseen,
    Corrupt,
    Absent { quarantined: Option<String> },
}

impl Pending {
    pub(super) const fn new(task: Task) -> Self {
        Self {
            task,
            object: Object::Unseen,
        }
    }

    /// What is fetched, and how.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// Where a corrupt object was moved to, if there was one.
    #[must_use]
    pub fn quarantined(&self) -> Option<&str> {
        match &self.object {
            Object::Absent { quarantined } => quarantined.as_deref(),
            Object::Unseen | Object::Corrupt => None,
        }
    }

    pub(super) fn wants<C>(&self) -> Effect<'_, C> {
        let digest = self.task.request.digest();
        match self.object {
            Object::Unseen => Effect::LookUp { digest },
            Object::Corrupt => Effect::Quarantine { digest },
            Object::Absent { .. } => Effect::Stage,
        }
    }

    pub(super) fn step<C: Content>(self, outcome: Outcome<C>) -> Next<C, Self> {
        match (&self.object, outcome) {
            (Object::Unseen | Object::Corrupt, Outcome::Found { content }) => {
                Ok(self.found(&content))
            }
            (Object::Unseen | Object::Corrupt, Outcome::FoundOversized { digest, size }) => {
                // Some other source's object is left where it is.
                if digest == self.task.request.digest() {
                    let why = NotAnIndex::TooLarge { size };
                    return Ok(self.fails(Cause::NotAnIndex { why }));
                }
                Ok(Self {
                    object: Object::Corrupt,
                    ..self
                }
                .into())
            }
            (Object::Unseen | Object::Corrupt, Outcome::FoundNotAFile) => Ok(Self {
                object: Object::Corrupt,
                ..self
            }
            .into()),
            (Object::Unseen | Object::Corrupt, Outcome::Absent) => Ok(self.absent(None)),
            (Object::Corrupt, Outcome::Quarantined { name }) => Ok(self.absent(Some(name))),
            (Object::Absent { .. }, Outcome::Staged { at }) => {
                Ok(Fetch::Staged(Staged::first(self, at)))
            }
            (_, Outcome::Trouble { trouble }) => Ok(self.fails(Cause::Trouble { trouble })),
            (_, outcome) => Err((self, outcome)),
        }
    }

    /// A hit is rehashed: only bytes that hash to their name are used, and only
    /// bytes that don't are moved aside.
    fn found<C: Content>(self, content: &C) -> Fetch<C> {
        match Committed::hit(self, content) {
            Ok(committed) => Fetch::Committed(committed),
            Err((pending, Unfit::Corrupt)) => Self {
                object: Object::Corrupt,
                ..pending
            }
            .into(),
            Err((pending, Unfit::NotAnIndex(why))) => pending.fails(Cause::NotAnIndex { why }),
        }
    }

    fn absent<C: Content>(self, quarantined: Option<String>) -> Fetch<C> {
        match self.task.plan.network {
            Network::Allowed => Self {
                object: Object::Absent { quarantined },
                ..self
            }
            .into(),
            Network::Offline => self.fails(Cause::Offline { quarantined }),
        }
    }

    fn fails<C: Content>(self, cause: Cause) -> Fetch<C> {
        Fetch::Failed(Failed::new(self.task, State::Pending, 0, cause))
    }

    pub(super) fn into_parts(self) -> (Task, Option<String>) {
        let quarantined = self.quarantined().map(str::to_owned);
        (self.task, quarantined)
    }
}

impl<C: Content> From<Pending> for Fetch<C> {
    fn from(state: Pending) -> Self {
        Self::Pending(state)
    }
}
