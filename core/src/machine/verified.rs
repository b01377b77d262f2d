//! SHA-256 of the bytes is the requested digest.

use super::{Cause, Committed, Content, Effect, Fetch, Inspected, Outcome, State, StepResult};
use crate::digest::Digest;

/// Evidence that SHA-256 of the bytes is the requested digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<C> {
    inspected: Inspected<C>,
}

impl<C: Content> Verified<C> {
    /// Succeeds if the digests are equal; otherwise returns that of the bytes.
    pub(super) fn verify(inspected: Inspected<C>) -> Result<Self, (Inspected<C>, Digest)> {
        let actual = inspected.copied().content().info().digest;
        if actual == inspected.expected() {
            Ok(Self { inspected })
        } else {
            Err((inspected, actual))
        }
    }

    /// The state before.
    #[must_use]
    pub const fn inspected(&self) -> &Inspected<C> {
        &self.inspected
    }

    /// The bytes.
    #[must_use]
    pub const fn content(&self) -> &C {
        self.inspected.copied().content()
    }

    /// The requested digest, which is that of the bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.inspected.expected()
    }

    pub(super) const fn wants(&self) -> Effect<'_, C> {
        Effect::Publish {
            digest: self.digest(),
            content: self.content(),
            staging: self.inspected.copied().staged().staging(),
        }
    }

    pub(super) fn step(self, outcome: Outcome<C>) -> StepResult<C, Self> {
        match outcome {
            Outcome::Published {
                placement,
                read_back,
            } => Ok(match Committed::published(self, &read_back, placement) {
                Ok(committed) => Fetch::Committed(committed),
                Err(verified) => verified.fail(Cause::ReadBackMismatch {
                    read: read_back.digest(),
                }),
            }),
            Outcome::Failed { error } => Ok(self.fail(Cause::EffectFailed { error })),
            outcome => Err((self, outcome)),
        }
    }

    fn fail(self, cause: Cause) -> Fetch<C> {
        self.inspected.into_staged().fail(State::Verified, cause)
    }

    pub(super) fn into_inspected(self) -> Inspected<C> {
        self.inspected
    }
}
