//! The bytes are an index with the requested digest.

use super::hit::Hit;
use super::{Authenticated, Cause, Content, Effect, Failed, Fetch, Inspected, Outcome};
use super::{Staged, Staging, State, StepResult, Task};
use crate::digest::Digest;
use crate::index::IndexSummary;

/// Evidence that SHA-256 of the bytes is the requested digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<C> {
    source: Source<C>,
    /// Number of verifiers that have approved the bytes.
    approvals: u8,
}

/// Where the bytes are from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source<C> {
    Fetched(Inspected<C>),
    Cache(Hit<C>),
}

/// What a committed fetch keeps.
pub(super) struct VerifiedParts {
    pub(super) task: Task,
    pub(super) index: IndexSummary,
    /// `None` for a hit.
    pub(super) staging: Option<Staging>,
    /// Where a corrupt object was moved to.
    pub(super) quarantined: Option<String>,
}

impl<C: Content> Verified<C> {
    /// Succeeds if the digests are equal; otherwise returns that of the bytes.
    pub(super) fn verify(inspected: Inspected<C>) -> Result<Self, (Inspected<C>, Digest)> {
        let actual = inspected.copied().content().info().digest;
        if actual == inspected.expected() {
            Ok(Self {
                source: Source::Fetched(inspected),
                approvals: 0,
            })
        } else {
            Err((inspected, actual))
        }
    }

    /// An intact object of the cache.
    pub(super) const fn hit(hit: Hit<C>) -> Self {
        Self {
            source: Source::Cache(hit),
            approvals: 0,
        }
    }

    /// The next verifier, from 0; `None` once all have approved the bytes.
    pub(super) const fn next_verifier(&self) -> Option<u8> {
        if self.approvals < self.task().verifiers {
            Some(self.approvals)
        } else {
            None
        }
    }

    pub(super) fn wants(&self) -> Effect<'_, C> {
        match self.next_verifier() {
            Some(verifier) => Effect::Authenticate {
                request: &self.task().request,
                content: self.content(),
                verifier,
            },
            None => self.wants_commit(),
        }
    }

    /// What is left to do once every verifier has approved the bytes: to publish them;
    /// nothing for a hit.
    pub(super) const fn wants_commit(&self) -> Effect<'_, C> {
        match self.staged() {
            None => Effect::Continue,
            Some(staged) => Effect::Publish {
                digest: self.digest(),
                content: self.content(),
                staging: staged.staging(),
            },
        }
    }

    pub(super) fn step(self, outcome: Outcome<C>) -> StepResult<C, Self> {
        match (self.next_verifier(), outcome) {
            (Some(_), Outcome::VerifierExited { status: 0, .. }) => Ok(self.approved()),
            (Some(verifier), Outcome::VerifierExited { status, message }) => {
                let cause = Cause::RefusedByVerifier {
                    message,
                    status,
                    verifier,
                };
                Ok(self.fail(State::Verified, cause))
            }
            (_, Outcome::Failed { error }) => {
                Ok(self.fail(State::Verified, Cause::EffectFailed { error }))
            }
            (_, outcome) => match Authenticated::authenticate(self) {
                Ok(authenticated) => authenticated
                    .step(State::Verified, outcome)
                    .map_err(|(authenticated, outcome)| (authenticated.into_verified(), outcome)),
                Err(verified) => Err((verified, outcome)),
            },
        }
    }

    fn approved(self) -> Fetch<C> {
        let approvals = self.approvals + 1;
        match Authenticated::authenticate(Self { approvals, ..self }) {
            Ok(authenticated) => Fetch::Authenticated(authenticated),
            Err(verified) => Fetch::Verified(verified),
        }
    }

    pub(super) fn fail(self, state: State, cause: Cause) -> Fetch<C> {
        match self.source {
            Source::Fetched(inspected) => inspected.into_staged().fail(state, cause),
            Source::Cache(hit) => Fetch::Failed(Failed::new(
                hit.pending.into_parts().0,
                state,
                0,
                cause,
                None,
            )),
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn content(&self) -> &C {
        match &self.source {
            Source::Fetched(inspected) => inspected.copied().content(),
            Source::Cache(hit) => &hit.content,
        }
    }

    /// The requested digest, which is that of the bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.task().request.digest()
    }

    /// What the index holds.
    #[must_use]
    pub const fn index(&self) -> &IndexSummary {
        match &self.source {
            Source::Fetched(inspected) => inspected.index(),
            Source::Cache(hit) => &hit.index,
        }
    }

    pub(super) const fn task(&self) -> &Task {
        match &self.source {
            Source::Fetched(inspected) => inspected.copied().staged().task(),
            Source::Cache(hit) => hit.pending.task(),
        }
    }

    /// `None` for a hit.
    pub(super) const fn staged(&self) -> Option<&Staged> {
        match &self.source {
            Source::Fetched(inspected) => Some(inspected.copied().staged()),
            Source::Cache(_) => None,
        }
    }

    pub(super) fn into_parts(self) -> VerifiedParts {
        match self.source {
            Source::Fetched(inspected) => {
                let (staged, index) = inspected.into_parts();
                let (task, staging, quarantined) = staged.into_parts();
                VerifiedParts {
                    task,
                    index,
                    staging: Some(staging),
                    quarantined,
                }
            }
            Source::Cache(Hit { pending, index, .. }) => {
                let (task, quarantined) = pending.into_parts();
                VerifiedParts {
                    task,
                    index,
                    staging: None,
                    quarantined,
                }
            }
        }
    }
}
