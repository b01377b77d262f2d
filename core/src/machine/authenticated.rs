//! Every verifier has approved the bytes.

use super::{Cause, Committed, Content, Effect, Fetch, Outcome, StepResult, Verified};

/// Evidence that every verifier of the task has approved the verified bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated<C> {
    verified: Verified<C>,
}

impl<C: Content> Authenticated<C> {
    /// Succeeds if no verifier is left to ask; always, where the task has none.
    pub(super) fn authenticate(verified: Verified<C>) -> Result<Self, Verified<C>> {
        match verified.next_verifier() {
            None => Ok(Self { verified }),
            Some(_) => Err(verified),
        }
    }

    /// The state before.
    #[must_use]
    pub const fn verified(&self) -> &Verified<C> {
        &self.verified
    }

    pub(super) const fn wants(&self) -> Effect<'_, C> {
        self.verified.wants_commit()
    }

    /// Takes the outcome of that effect. `into_state` turns this back into the caller's state,
    /// which a refusal returns and a failure ends.
    pub(super) fn step(
        self,
        outcome: Outcome<C>,
        into_state: impl FnOnce(Self) -> Fetch<C>,
    ) -> StepResult<C> {
        match (self.verified.staged(), outcome) {
            (None, Outcome::Continued) => Ok(Committed::hit(self)),
            (
                Some(_),
                Outcome::Published {
                    placement,
                    read_back,
                },
            ) => Ok(
                Committed::publish(self, &read_back, placement).unwrap_or_else(|this| {
                    let read = read_back.digest();
                    into_state(this).fail(Cause::ReadBackMismatch { read })
                }),
            ),
            (_, outcome) => Err((into_state(self), outcome)),
        }
    }

    pub(super) fn into_verified(self) -> Verified<C> {
        self.verified
    }
}
