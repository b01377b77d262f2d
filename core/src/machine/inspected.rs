//! The bytes are an index.

use super::{Cause, Classification, Content, Copied, Effect, Fetch, Method, Outcome, Staged};
use super::{StepResult, Verified};
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
        let reason = match copied.content().info().classification.clone() {
            Classification::Index(index) => return Fetch::Inspected(Self { copied, index }),
            Classification::NotAnIndex(reason) => reason,
        };
        let (actual, expected) = copied.digests();
        let cause = if actual == expected {
            Cause::NotAnIndex { reason }
        } else {
            Cause::DigestMismatch {
                actual,
                expected,
                not_an_index: Some(Box::new(reason)),
            }
        };
        Fetch::Copied(copied).fail(cause)
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

    pub(super) fn step(self, outcome: Outcome<C>) -> StepResult<C> {
        match (self.copied.staged().task().policy.method, outcome) {
            (Method::Raw, Outcome::Continued) => Ok(Verified::verify(self)),
            (Method::SkopeoCopy, Outcome::ManifestDigest { digest }) => {
                let (sha256, expected) = self.copied.digests();
                // SHA-256 decides and gives the plainer error, so it is compared first.
                if sha256 != expected || digest == sha256.to_string() {
                    return Ok(Verified::verify(self));
                }
                let skopeo = digest;
                let cause = Cause::SkopeoDigestMismatch { sha256, skopeo };
                Ok(Fetch::Inspected(self).fail(cause))
            }
            (_, outcome) => Err((Fetch::Inspected(self), outcome)),
        }
    }

    pub(super) fn into_parts(self) -> (Staged, C, IndexSummary) {
        let (staged, content) = self.copied.into_parts();
        (staged, content, self.index)
    }
}
