//! There is a place to copy to.

use super::{Cause, Content, Copied, Effect, Failed, Fetch, Next, Outcome, Pending, Retry};
use super::{Staging, State, Task, Trouble};

/// The cache has no such object and there is a place to copy to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    task: Task,
    at: Staging,
    attempt: u32,
    phase: Phase,
    quarantined: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Copying,
    Pausing,
}

impl Staged {
    pub(super) fn first(pending: Pending, at: Staging) -> Self {
        let (task, quarantined) = pending.into_parts();
        Self {
            task,
            at,
            attempt: 1,
            phase: Phase::Copying,
            quarantined,
        }
    }

    /// What is fetched, and how.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// Where to copy to.
    #[must_use]
    pub const fn at(&self) -> &Staging {
        &self.at
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Where a corrupt object was moved to, if there was one.
    #[must_use]
    pub fn quarantined(&self) -> Option<&str> {
        self.quarantined.as_deref()
    }

    pub(super) const fn wants<C>(&self) -> Effect<'_, C> {
        let attempt = self.attempt;
        match self.phase {
            Phase::Copying => Effect::Copy {
                request: &self.task.request,
                method: self.task.plan.method,
                at: &self.at,
                attempt,
            },
            Phase::Pausing => Effect::Pause { attempt },
        }
    }

    pub(super) fn step<C: Content>(self, outcome: Outcome<C>) -> Next<C, Self> {
        match (self.phase, outcome) {
            (Phase::Copying, Outcome::Copied { content }) => {
                Ok(Fetch::Copied(Copied::new(self, content)))
            }
            (Phase::Pausing, Outcome::Paused) => Ok(Fetch::Staged(Self {
                attempt: self.attempt + 1,
                phase: Phase::Copying,
                ..self
            })),
            (Phase::Copying, Outcome::Trouble { trouble }) => Ok(self.troubled(trouble)),
            (Phase::Pausing, Outcome::Trouble { trouble }) => {
                Ok(self.fails(State::Staged, Cause::Trouble { trouble }))
            }
            (_, outcome) => Err((self, outcome)),
        }
    }

    fn troubled<C: Content>(self, trouble: Trouble) -> Fetch<C> {
        match trouble.retry() {
            Retry::Pointless => self.fails(State::Staged, Cause::Trouble { trouble }),
            Retry::Worthwhile if self.attempt < self.task.plan.attempts.get() => {
                Fetch::Staged(Self {
                    phase: Phase::Pausing,
                    ..self
                })
            }
            Retry::Worthwhile => {
                let attempts = self.attempt;
                self.fails(State::Staged, Cause::GaveUp { attempts, trouble })
            }
        }
    }

    /// Ends the fetch, from here or from a state further on.
    pub(super) fn fails<C: Content>(self, at: State, cause: Cause) -> Fetch<C> {
        Fetch::Failed(Failed::new(self.task, at, self.attempt, cause))
    }

    pub(super) fn into_parts(self) -> (Task, Option<String>) {
        (self.task, self.quarantined)
    }
}
