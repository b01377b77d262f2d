//! SHA-256 of the bytes is the digest that was asked for.

use super::{Cause, Committed, Content, Effect, Fetch, Inspected, Next, Outcome, State};
use crate::digest::Digest;

/// The proof that SHA-256 of the bytes is the requested digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<C> {
    inspected: Inspected<C>,
}

impl<C: Content> Verified<C> {
    /// Compares; gives the digest that the bytes have where it is another.
    pub(super) fn compare(inspected: Inspected<C>) -> Result<Self, (Inspected<C>, Digest)> {
        let actual = inspected.copied().content().facts().digest;
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

    /// Their digest, which is the requested one.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.inspected.expected()
    }

    pub(super) const fn wants(&self) -> Effect<'_, C> {
        Effect::Publish {
            digest: self.digest(),
            content: self.content(),
            at: self.inspected.copied().staged().at(),
        }
    }

    pub(super) fn step(self, outcome: Outcome<C>) -> Next<C, Self> {
        match outcome {
            Outcome::Published { content, placed } => {
                match Committed::published(self, &content, placed) {
                    Ok(committed) => Ok(Fetch::Committed(committed)),
                    Err(verified) => {
                        let read = content.facts().digest;
                        Ok(verified.fails(Cause::ReadBackDiffers { read }))
                    }
                }
            }
            Outcome::Trouble { trouble } => Ok(self.fails(Cause::Trouble { trouble })),
            outcome => Err((self, outcome)),
        }
    }

    fn fails(self, cause: Cause) -> Fetch<C> {
        self.inspected.into_staged().fails(State::Verified, cause)
    }

    pub(super) fn into_inspected(self) -> Inspected<C> {
        self.inspected
    }
}
