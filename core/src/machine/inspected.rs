//! The bytes are an index.

use super::{Cause, Classification, Content, Copied, Effect, Fetch, Method, Outcome, Staged};
use super::{State, StepResult, Verified};
use crate::digest::Digest;
use crate::index::{IndexSummary, NotAnIndex};

/// The bytes are an image index or a manifest list; their digest has not been
/// compared yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected<C> {
    copied: Copied<C>,
    index: IndexSummary,
}

impl<C: Content> Inspected<C> {
    /// Succeeds if the bytes are an index.
    pub(super) fn inspect(copied: Copied<C>) -> Result<Self, (Copied<C>, NotAnIndex)> {
        match copied.classification().clone() {
            Classification::Index(index) => Ok(Self { copied, index }),
            Classification::NotAnIndex(reason) => Err((copied, reason)),
        }
    }

    /// The state before.
    #[must_use]
    pub const fn copied(&self) -> &Copied<C> {
        &self.copied
    }

    /// What the index holds.
    #[must_use]
    pub const fn index(&self) -> &IndexSummary {
        &self.index
    }

    /// The requested digest.
    pub(super) const fn expected(&self) -> Digest {
        self.copied.staged().task().request.digest()
    }

    pub(super) const fn wants(&self) -> Effect<'_, C> {
        let staged = self.copied.staged();
        match staged.task().policy.method {
            Method::Raw => Effect::Continue,
            Method::SkopeoCopy => Effect::ManifestDigest {
                staging: staged.staging(),
                attempt: staged.attempt(),
            },
        }
    }

    pub(super) fn step(self, outcome: Outcome<C>) -> StepResult<C, Self> {
        match (self.copied.staged().task().policy.method, outcome) {
            (Method::Raw, Outcome::Continued) => Ok(self.verify()),
            // SHA-256 decides and gives the plainer error, so it is compared first.
            (Method::SkopeoCopy, Outcome::ManifestDigest { digest }) => Ok(match self.verify() {
                Fetch::Verified(verified) if digest != verified.digest().to_string() => {
                    let (sha256, skopeo) = (verified.digest(), digest);
                    let cause = Cause::SkopeoDigestMismatch { sha256, skopeo };
                    verified.fail(State::Inspected, cause)
                }
                next => next,
            }),
            (_, Outcome::Failed { error }) => Ok(self.fail(Cause::EffectFailed { error })),
            (_, outcome) => Err((self, outcome)),
        }
    }

    fn verify(self) -> Fetch<C> {
        match Verified::verify(self) {
            Ok(verified) => Fetch::Verified(verified),
            Err((inspected, actual)) => {
                let expected = inspected.expected();
                inspected.fail(Cause::DigestMismatch {
                    actual,
                    expected,
                    not_an_index: None,
                })
            }
        }
    }

    fn fail(self, cause: Cause) -> Fetch<C> {
        self.into_staged().fail(State::Inspected, cause)
    }

    pub(super) fn into_staged(self) -> Staged {
        self.copied.into_staged()
    }

    pub(super) fn into_parts(self) -> (Staged, IndexSummary) {
        (self.copied.into_staged(), self.index)
    }
}
