//! Names for the copy are reserved.

use super::{Cause, Content, Copied, Effect, EffectError, Fetch, Outcome, Pending};
use super::{Staging, StepResult, Task};

/// The cache has no such object, and the fetch has names to copy to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    pending: Pending,
    staging: Staging,
    attempt: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fetching,
    BackingOff,
}

impl Staged {
    pub(super) const fn new(pending: Pending, staging: Staging) -> Self {
        Self {
            pending,
            staging,
            attempt: 1,
            phase: Phase::Fetching,
        }
    }

    /// The request and the rules of its fetch.
    #[must_use]
    pub const fn task(&self) -> &Task {
        self.pending.task()
    }

    /// The reserved names.
    #[must_use]
    pub const fn staging(&self) -> &Staging {
        &self.staging
    }

    /// The attempt, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Where a corrupt object was moved to.
    #[must_use]
    pub fn quarantined(&self) -> Option<&str> {
        self.pending.quarantined()
    }

    pub(super) const fn wants<C>(&self) -> Effect<'_, C> {
        let attempt = self.attempt;
        match self.phase {
            Phase::Fetching => Effect::Fetch {
                request: &self.task().request,
                method: self.task().policy.method,
                staging: &self.staging,
                attempt,
            },
            Phase::BackingOff => Effect::Backoff { attempt },
        }
    }

    pub(super) fn step<C: Content>(self, outcome: Outcome<C>) -> StepResult<C> {
        match (self.phase, outcome) {
            (Phase::Fetching, Outcome::Fetched { content }) => {
                Ok(Fetch::Copied(Copied::new(self, content)))
            }
            (Phase::BackingOff, Outcome::BackoffElapsed) => Ok(Fetch::Staged(Self {
                attempt: self.attempt + 1,
                phase: Phase::Fetching,
                ..self
            })),
            (_, Outcome::Failed { error }) => Ok(self.effect_failed(error)),
            (_, outcome) => Err((Fetch::Staged(self), outcome)),
        }
    }

    fn effect_failed<C: Content>(self, error: EffectError) -> Fetch<C> {
        let attempts = self.attempt;
        if self.phase == Phase::BackingOff || !error.is_transient() {
            Fetch::Staged(self).fail(Cause::EffectFailed { error })
        } else if attempts < self.task().policy.attempts.get() {
            Fetch::Staged(Self {
                phase: Phase::BackingOff,
                ..self
            })
        } else {
            Fetch::Staged(self).fail(Cause::RetriesExhausted { attempts, error })
        }
    }

    pub(super) fn into_parts(self) -> (Pending, Staging) {
        (self.pending, self.staging)
    }
}
