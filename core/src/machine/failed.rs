//! The fetch ended without the object.

use super::{Cause, Content, Fetch, Staging, State, Task};

/// A failed fetch: the state in which it failed, and the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    task: Task,
    state: State,
    attempts: u32,
    cause: Cause,
    staging: Option<Staging>,
}

impl Failed {
    /// The end of a fetch in its present state.
    pub(super) fn new<C: Content>(fetch: &Fetch<C>, cause: Cause) -> Self {
        Self {
            task: fetch.task().clone(),
            state: fetch.state(),
            attempts: fetch.attempt(),
            cause,
            staging: fetch.staging().cloned(),
        }
    }

    /// The request and the rules of its fetch.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// The state in which it failed.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Attempts made; 0 where the cache decided.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why it failed.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    pub(super) const fn staging(&self) -> Option<&Staging> {
        self.staging.as_ref()
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.task.request, self.cause)
    }
}
