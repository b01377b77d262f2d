//! The bytes are an index.

use super::{Cause, Classified, Content, Copied, Effect, Fetch, Method, Next, Outcome, Staged};
use super::{State, Verified};
use crate::digest::Digest;
use crate::index::{NotAnIndex, Summary};

/// The bytes are an image index or a manifest list; whether they are the one
/// that was asked for is yet to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected<C> {
    copied: Copied<C>,
    index: Summary,
}

impl<C: Content> Inspected<C> {
    /// Takes the bytes for an index, if they are one.
    pub(super) fn classify(copied: Copied<C>) -> Result<Self, (Copied<C>, NotAnIndex)> {
        match copied.read_as().clone() {
            Classified::Index(index) => Ok(Self { copied, index }),
            Classified::NotAnIndex(refusal) => Err((copied, refusal)),
        }
    }

    /// The state before.
    #[must_use]
    pub const fn copied(&self) -> &Copied<C> {
        &self.copied
    }

    /// What the index holds.
    #[must_use]
    pub const fn index(&self) -> &Summary {
        &self.index
    }

    /// The digest that was asked for.
    pub(super) const fn expected(&self) -> Digest {
        self.copied.staged().task().request.digest()
    }

    pub(super) const fn wants(&self) -> Effect<'_, C> {
        let staged = self.copied.staged();
        match staged.task().plan.method {
            Method::Raw => Effect::Proceed,
            Method::Copy => Effect::Opinion {
                at: staged.at(),
                attempt: staged.attempt(),
            },
        }
    }

    pub(super) fn step(self, outcome: Outcome<C>) -> Next<C, Self> {
        match (self.copied.staged().task().plan.method, outcome) {
            (Method::Raw, Outcome::Proceed) => Ok(self.compared()),
            (Method::Copy, Outcome::Opinion { digest }) => {
                // Ours first: it is the judge, and its mismatch the plainer error.
                match self.compared() {
                    Fetch::Verified(verified) if digest != verified.digest().to_string() => {
                        let ours = verified.digest();
                        let cause = Cause::OpinionDiffers {
                            ours,
                            skopeo: digest,
                        };
                        Ok(verified.into_inspected().fails(cause))
                    }
                    next => Ok(next),
                }
            }
            (_, Outcome::Trouble { trouble }) => Ok(self.fails(Cause::Trouble { trouble })),
            (_, outcome) => Err((self, outcome)),
        }
    }

    fn compared(self) -> Fetch<C> {
        match Verified::compare(self) {
            Ok(verified) => Fetch::Verified(verified),
            Err((inspected, actual)) => {
                let expected = inspected.expected();
                inspected.fails(Cause::DigestMismatch { expected, actual })
            }
        }
    }

    fn fails(self, cause: Cause) -> Fetch<C> {
        self.into_staged().fails(State::Inspected, cause)
    }

    pub(super) fn into_staged(self) -> Staged {
        self.copied.into_staged()
    }
}
