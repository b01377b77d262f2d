//! The bytes are an index with the requested digest.

use super::{Authenticated, CacheEntry, Cause, Content, Effect, Fetch, Inspected, ObjectStatus};
use super::{Outcome, Pending, Staged, StepResult, Task};
use crate::digest::Digest;
use crate::index::IndexSummary;

/// Evidence that the bytes are an index, and that their SHA-256 is the requested digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<C> {
    source: Source,
    content: C,
    index: IndexSummary,
    /// Number of verifiers that have approved the bytes.
    approvals: u8,
}

/// Where the bytes are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Cache(Pending),
    Fetched(Staged),
}

impl<C: Content> Verified<C> {
    /// The next state: this one, if the digests are equal.
    pub(super) fn verify(inspected: Inspected<C>) -> Fetch<C> {
        let (actual, expected) = inspected.copied().digests();
        if actual != expected {
            return Fetch::Inspected(inspected).fail(Cause::DigestMismatch {
                actual,
                expected,
                not_an_index: None,
            });
        }
        let (staged, content, index) = inspected.into_parts();
        Fetch::Verified(Self {
            source: Source::Fetched(staged),
            content,
            index,
            approvals: 0,
        })
    }

    /// Succeeds if the cache's object is intact; otherwise returns its status.
    pub(super) fn hit(
        pending: Pending,
        entry: CacheEntry<C>,
    ) -> Result<Self, (Pending, ObjectStatus)> {
        match (entry.status(pending.task().request.digest()), entry) {
            (ObjectStatus::Intact { index, .. }, CacheEntry::File { content }) => Ok(Self {
                source: Source::Cache(pending),
                content,
                index,
                approvals: 0,
            }),
            (status, _) => Err((pending, status)),
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

    pub(super) fn step(self, outcome: Outcome<C>) -> StepResult<C> {
        match (Authenticated::authenticate(self), outcome) {
            (Ok(authenticated), outcome) => {
                authenticated.step(outcome, |this| Fetch::Verified(this.into_verified()))
            }
            (Err(verified), Outcome::VerifierExited { status: 0, .. }) => Ok(verified.approved()),
            (Err(verified), Outcome::VerifierExited { status, message }) => {
                let cause = Cause::RefusedByVerifier {
                    message,
                    status,
                    verifier: verified.approvals,
                };
                Ok(Fetch::Verified(verified).fail(cause))
            }
            (Err(verified), outcome) => Err((Fetch::Verified(verified), outcome)),
        }
    }

    fn approved(self) -> Fetch<C> {
        let approvals = self.approvals + 1;
        match Authenticated::authenticate(Self { approvals, ..self }) {
            Ok(authenticated) => Fetch::Authenticated(authenticated),
            Err(verified) => Fetch::Verified(verified),
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn content(&self) -> &C {
        &self.content
    }

    /// The requested digest, which is that of the bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.task().request.digest()
    }

    pub(super) const fn task(&self) -> &Task {
        match &self.source {
            Source::Cache(pending) => pending.task(),
            Source::Fetched(staged) => staged.task(),
        }
    }

    /// `None` for a hit.
    pub(super) const fn staged(&self) -> Option<&Staged> {
        match &self.source {
            Source::Cache(_) => None,
            Source::Fetched(staged) => Some(staged),
        }
    }

    pub(super) fn into_parts(self) -> (Source, IndexSummary) {
        (self.source, self.index)
    }
}
