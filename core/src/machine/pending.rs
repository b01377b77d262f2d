//! The cache was not read yet, or has no usable object.

use super::{Authenticated, CacheEntry, Cause, Committed, Content, Effect, Fetch, Network};
use super::{ObjectStatus, Outcome, Staged, StepResult, Task, Verified};

/// The first state: the cache was not read yet, or has no usable object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    task: Task,
    object: Object,
}

/// What is known of the cache's object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Object {
    Unknown,
    Corrupt,
    Absent { quarantined: Option<String> },
}

impl Pending {
    pub(super) const fn new(task: Task) -> Self {
        Self {
            task,
            object: Object::Unknown,
        }
    }

    /// The request and the rules of its fetch.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// Where a corrupt object was moved to.
    #[must_use]
    pub fn quarantined(&self) -> Option<&str> {
        match &self.object {
            Object::Absent { quarantined } => quarantined.as_deref(),
            Object::Unknown | Object::Corrupt => None,
        }
    }

    pub(super) fn wants<C>(&self) -> Effect<'_, C> {
        let digest = self.task.request.digest();
        match self.object {
            Object::Unknown => Effect::LookUp { digest },
            Object::Corrupt => Effect::Quarantine { digest },
            Object::Absent { .. } => Effect::Stage,
        }
    }

    pub(super) fn step<C: Content>(self, outcome: Outcome<C>) -> StepResult<C> {
        match (&self.object, outcome) {
            (Object::Unknown | Object::Corrupt, Outcome::LookedUp { entry }) => {
                Ok(self.looked_up(entry))
            }
            (Object::Corrupt, Outcome::Quarantined { name }) => Ok(self.absent(Some(name))),
            (Object::Absent { .. }, Outcome::Staged { staging }) => {
                Ok(Fetch::Staged(Staged::new(self, staging)))
            }
            (_, outcome) => Err((Fetch::Pending(self), outcome)),
        }
    }

    /// A hit is rehashed: only bytes that hash to their name are used, and only
    /// bytes that don't are quarantined. Another source's intact object stays.
    fn looked_up<C: Content>(self, entry: CacheEntry<C>) -> Fetch<C> {
        match Verified::hit(self, entry) {
            Ok(verified) => match Authenticated::authenticate(verified) {
                Ok(authenticated) => Committed::hit(authenticated),
                Err(verified) => Fetch::Verified(verified),
            },
            Err((pending, ObjectStatus::Missing)) => pending.absent(None),
            Err((pending, ObjectStatus::NotAnIndex(reason))) => {
                Fetch::Pending(pending).fail(Cause::NotAnIndex { reason })
            }
            Err((pending, ObjectStatus::Corrupt | ObjectStatus::Intact { .. })) => {
                Fetch::Pending(Self {
                    object: Object::Corrupt,
                    ..pending
                })
            }
        }
    }

    fn absent<C: Content>(self, quarantined: Option<String>) -> Fetch<C> {
        match self.task.policy.network {
            Network::Allowed => Fetch::Pending(Self {
                object: Object::Absent { quarantined },
                ..self
            }),
            Network::Offline => Fetch::Pending(self).fail(Cause::Offline { quarantined }),
        }
    }

    pub(super) fn into_parts(self) -> (Task, Option<String>) {
        let quarantined = self.quarantined().map(str::to_owned);
        (self.task, quarantined)
    }
}
