//! Names for the copy are reserved.

use super::{Cause, Content, Copied, Effect, EffectError, Failed, Fetch, Outcome, Pending};
use super::{Staging, State, StepResult, Task};
use crate::digest::Digest;
use crate::index::NotAnIndex;

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

    pub(super) fn step<C: Content>(self, outcome: Outcome<C>) -> StepResult<C, Self> {
        match (self.phase, outcome) {
            (Phase::Fetching, Outcome::Fetched { content }) => {
                Ok(Fetch::Copied(Copied::new(self, content)))
            }
            (Phase::BackingOff, Outcome::BackoffElapsed) => Ok(Fetch::Staged(Self {
                attempt: self.attempt + 1,
                phase: Phase::Fetching,
                ..self
            })),
            (Phase::Fetching, Outcome::Failed { error }) => Ok(self.attempt_failed(error)),
            (Phase::BackingOff, Outcome::Failed { error }) => {
                Ok(self.fail(State::Staged, Cause::EffectFailed { error }))
            }
            (_, outcome) => Err((self, outcome)),
        }
    }

    fn attempt_failed<C: Content>(self, error: EffectError) -> Fetch<C> {
        if !error.is_transient() {
            return self.fail(State::Staged, Cause::EffectFailed { error });
        }
        if self.attempt < self.task().policy.attempts.get() {
            return Fetch::Staged(Self {
                phase: Phase::BackingOff,
                ..self
            });
        }
        let attempts = self.attempt;
        self.fail(State::Staged, Cause::RetriesExhausted { attempts, error })
    }

    /// Ends the fetch, from here or from a later state.
    pub(super) fn fail<C: Content>(self, state: State, cause: Cause) -> Fetch<C> {
        let (task, _) = self.pending.into_parts();
        let staging = Some(self.staging);
        Fetch::Failed(Failed::new(task, state, self.attempt, cause, staging))
    }

    /// Ends the fetch, because the bytes are not the requested ones.
    pub(super) fn digest_mismatch<C: Content>(
        self,
        state: State,
        actual: Digest,
        not_an_index: Option<NotAnIndex>,
    ) -> Fetch<C> {
        let cause = Cause::DigestMismatch {
            actual,
            expected: self.task().request.digest(),
            not_an_index: not_an_index.map(Box::new),
        };
        self.fail(state, cause)
    }

    pub(super) fn into_parts(self) -> (Pending, Staging) {
        (self.pending, self.staging)
    }
}
