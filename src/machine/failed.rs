//! The fetch has ended without the object.

use super::{Cause, State, Task};

/// The state it failed in, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    task: Task,
    at: State,
    attempts: u32,
    cause: Cause,
}

impl Failed {
    pub(super) const fn new(task: Task, at: State, attempts: u32, cause: Cause) -> Self {
        Self {
            task,
            at,
            attempts,
            cause,
        }
    }

    /// What was to be fetched, and how.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// The state it failed in.
    #[must_use]
    pub const fn at(&self) -> State {
        self.at
    }

    /// Attempts at copying; 0 where none was made.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: failed in state {}: {}",
            self.task.request, self.at, self.cause
        )
    }
}
