//! The bytes were fetched.

use super::{Cause, Content, Effect, Fetch, Inspected, Method, Outcome, Staged};
use super::{State, StepResult};

/// The bytes were fetched; whether they are an index is not decided yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied<C> {
    staged: Staged,
    content: C,
}

impl<C: Content> Copied<C> {
    pub(super) const fn new(staged: Staged, content: C) -> Self {
        Self { staged, content }
    }

    /// The state before.
    #[must_use]
    pub const fn staged(&self) -> &Staged {
        &self.staged
    }

    /// The bytes.
    #[must_use]
    pub const fn content(&self) -> &C {
        &self.content
    }

    pub(super) const fn wants(&self) -> Effect<'_, C> {
        match self.staged.task().policy.method {
            Method::Raw => Effect::Continue,
            Method::SkopeoCopy => Effect::ReadCopy {
                staging: self.staged.staging(),
                attempt: self.staged.attempt(),
            },
        }
    }

    pub(super) fn step(self, outcome: Outcome<C>) -> StepResult<C, Self> {
        match (self.staged.task().policy.method, outcome) {
            (Method::Raw, Outcome::Continued) => Ok(Inspected::inspect(self)),
            (Method::SkopeoCopy, Outcome::CopyRead { content }) => {
                if content == self.content {
                    return Ok(Inspected::inspect(self));
                }
                let (copied, read) = (self.content.info().digest, content.info().digest);
                Ok(self.fail(Cause::CopyMismatch { copied, read }))
            }
            (_, Outcome::Failed { error }) => Ok(self.fail(Cause::EffectFailed { error })),
            (_, outcome) => Err((self, outcome)),
        }
    }

    fn fail(self, cause: Cause) -> Fetch<C> {
        self.staged.fail(State::Copied, cause)
    }

    pub(super) fn into_parts(self) -> (Staged, C) {
        (self.staged, self.content)
    }
}
