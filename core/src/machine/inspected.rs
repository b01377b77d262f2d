//! The bytes are an index.

use super::{Cause, Classification, Content, Copied, Effect, Fetch, Method, Outcome, Staged};
use super::{State, StepResult, Verified};
use crate::index::IndexSummary;

/// The bytes are an image index or a manifest list; their digest has not been
/// compared yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected<C> {
    copied: Copied<C>,
    index: IndexSummary,
}

impl<C: Content> Inspected<C> {
    /// The next state: this one, if the bytes are an index.
    pub(super) fn inspect(copied: Copied<C>) -> Fetch<C> {
        let actual = copied.content().info().digest;
        match copied.content().info().classification.clone() {
            Classification::Index(index) => Fetch::Inspected(Self { copied, index }),
            Classification::NotAnIndex(reason) => {
                let (staged, _) = copied.into_parts();
                if actual == staged.task().request.digest() {
                    staged.fail(State::Copied, Cause::NotAnIndex { reason })
                } else {
                    staged.digest_mismatch(State::Copied, actual, Some(reason))
                }
            }
        }
    }

    /// The state before.
    #[must_use]
    pub const fn copied(&self) -> &Copied<C> {
        &self.copied
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
            (Method::Raw, Outcome::Continued) => Ok(Verified::verify(self)),
            // SHA-256 decides and gives the plainer error, so it is compared first.
            (Method::SkopeoCopy, Outcome::ManifestDigest { digest }) => {
                Ok(match Verified::verify(self) {
                    Fetch::Verified(verified) if digest != verified.digest().to_string() => {
                        let (sha256, skopeo) = (verified.digest(), digest);
                        let cause = Cause::SkopeoDigestMismatch { sha256, skopeo };
                        verified.fail(State::Inspected, cause)
                    }
                    next => next,
                })
            }
            (_, Outcome::Failed { error }) => {
                let (staged, ..) = self.into_parts();
                Ok(staged.fail(State::Inspected, Cause::EffectFailed { error }))
            }
            (_, outcome) => Err((self, outcome)),
        }
    }

    pub(super) fn into_parts(self) -> (Staged, C, IndexSummary) {
        let (staged, content) = self.copied.into_parts();
        (staged, content, self.index)
    }
}
