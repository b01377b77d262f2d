//! The bytes are here.

use super::State;
use super::{Cause, Classified, Content, Effect, Fetch, Inspected, Method, Next, Outcome, Staged};

/// skopeo brought bytes; what they are is yet to be seen.
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
        match self.staged.task().plan.method {
            Method::Raw => Effect::Proceed,
            Method::Copy => Effect::Reread {
                at: self.staged.at(),
                attempt: self.staged.attempt(),
            },
        }
    }

    pub(super) fn step(self, outcome: Outcome<C>) -> Next<C, Self> {
        match (self.staged.task().plan.method, outcome) {
            (Method::Raw, Outcome::Proceed) => Ok(self.classified()),
            (Method::Copy, Outcome::Reread { content }) => {
                if content == self.content {
                    return Ok(self.classified());
                }
                let (copied, read) = (self.content.facts().digest, content.facts().digest);
                Ok(self.fails(Cause::RereadDiffers { copied, read }))
            }
            (_, Outcome::Trouble { trouble }) => Ok(self.fails(Cause::Trouble { trouble })),
            (_, outcome) => Err((self, outcome)),
        }
    }

    fn classified(self) -> Fetch<C> {
        match Inspected::classify(self) {
            Ok(inspected) => Fetch::Inspected(inspected),
            Err((copied, why)) => copied.fails(Cause::NotAnIndex { why }),
        }
    }

    fn fails(self, cause: Cause) -> Fetch<C> {
        self.staged.fails(State::Copied, cause)
    }

    pub(super) fn into_staged(self) -> Staged {
        self.staged
    }

    /// What the bytes are.
    pub(super) fn read_as(&self) -> &Classified {
        &self.content.facts().read_as
    }
}
