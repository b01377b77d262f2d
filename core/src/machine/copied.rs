//! The bytes were fetched.

use super::StepResult;
use super::{Cause, Content, Effect, Fetch, Inspected, Method, Outcome, Staged};
use crate::digest::Digest;

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

    /// SHA-256 of the bytes, and the requested digest.
    pub(super) fn digests(&self) -> (Digest, Digest) {
        (
            self.content.info().digest,
            self.staged.task().request.digest(),
        )
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

    pub(super) fn step(self, outcome: Outcome<C>) -> StepResult<C> {
        match (self.staged.task().policy.method, outcome) {
            (Method::Raw, Outcome::Continued) => Ok(Inspected::inspect(self)),
            (Method::SkopeoCopy, Outcome::CopyRead { content }) => {
                if content == self.content {
                    return Ok(Inspected::inspect(self));
                }
                let (copied, read) = (self.content.info().digest, content.info().digest);
                let cause = Cause::CopyMismatch { copied, read };
                Ok(Fetch::Copied(self).fail(cause))
            }
            (_, outcome) => Err((Fetch::Copied(self), outcome)),
        }
    }

    pub(super) fn into_parts(self) -> (Staged, C) {
        (self.staged, self.content)
    }
}
