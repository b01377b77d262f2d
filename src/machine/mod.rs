//! One fetch as a typed state machine, without I/O, clock or randomness.
//!
//! ```text
//!            hit, rehashed                    (bytes)        (an index)     (SHA-256 = digest)   (durable)
//!  Pending ───────────────────────────────────────────────────────────────────────────────────▶ Committed
//!     │ miss                                                                                        ▲
//!     ▼                                                                                             │
//!  Staged ──────▶ Copied ──────▶ Inspected ──────▶ Verified ────────────────────────────────────────┘
//!     ▲  │ transient failure: next attempt, after a pause
//!     └──┘                     any state ──▶ Failed(state it failed in, cause)
//! ```
//!
//! [`Fetch::wants`] says what the state needs next, somebody performs it, and
//! [`Fetch::step`] takes what came of it: the only way from state to state.
//! Executor, model checker, replay of an audit log and fuzz targets all go
//! through it.
//!
//! Each state is a struct in a file of its own and holds the evidence that it
//! has earned. Its constructor lives in that file and takes the state before it
//! by value, so a state can be neither skipped nor forged nor used twice.
//! Nor can one be read from somewhere:
//!
//! ```compile_fail,E0277
//! use skopeo_index::machine::{Bytes, Committed};
//! let forged: Committed<Bytes> = serde_json::from_str("{}").unwrap();
//! ```
//!
//! Outcomes are claims: one that says "verified" doesn't exist, one that brings
//! bytes does, and the core compares for itself.

#![allow(
    clippy::result_large_err,
    reason = "a refusal gives the whole state back"
)]

mod cause;
mod committed;
mod content;
mod copied;
mod event;
mod failed;
mod inspected;
mod outcome;
mod pending;
mod staged;
mod table;
mod task;
mod verified;

pub use cause::{Cause, Class, Retry, Stop, Trouble};
pub use committed::{Committed, Provenance};
pub use content::{Bytes, Classified, Content, Facts};
pub use copied::Copied;
pub use event::{Event, Refused};
pub use failed::Failed;
pub use inspected::Inspected;
pub use outcome::{Effect, Kind, Outcome, Placed, Staging};
pub use pending::Pending;
pub use staged::Staged;
pub use table::{Row, TABLE};
pub use task::{Attempts, Method, Network, Plan, Task};
pub use verified::Verified;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fetch in any of its states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetch<C: Content = Bytes> {
    /// Nothing is known yet, or the cache has been looked at and has no such object.
    Pending(Pending),
    /// There is a place to copy to.
    Staged(Staged),
    /// The bytes are here.
    Copied(Copied<C>),
    /// They are an index.
    Inspected(Inspected<C>),
    /// Their SHA-256 is the digest that was asked for.
    Verified(Verified<C>),
    /// They are in the cache, durably.
    Committed(Committed<C>),
    /// The fetch has ended without them.
    Failed(Failed),
}

/// What a state does with an outcome: the next state, or outcome and state back.
type Next<C, S> = Result<Fetch<C>, (S, Outcome<C>)>;

impl<C: Content> Fetch<C> {
    /// A new fetch.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self::Pending(Pending::new(task))
    }

    /// What the state needs next; `None` when the fetch has ended.
    #[must_use]
    pub fn wants(&self) -> Option<Effect<'_, C>> {
        match self {
            Self::Pending(state) => Some(state.wants()),
            Self::Staged(state) => Some(state.wants()),
            Self::Copied(state) => Some(state.wants()),
            Self::Inspected(state) => Some(state.wants()),
            Self::Verified(state) => Some(state.wants()),
            Self::Committed(_) | Self::Failed(_) => None,
        }
    }

    /// Takes the outcome of what the state wanted and gives the next state, and
    /// the transition as an event.
    ///
    /// # Errors
    /// [`Refused`] where the state has no use for the outcome; it holds both,
    /// unchanged.
    pub fn step(self, outcome: Outcome<C>) -> Result<(Self, Event), Box<Refused<C>>> {
        let from = self.state();
        let attempt = self.attempt();
        let facts = outcome.facts();
        let next = match (self, outcome) {
            (Self::Pending(state), outcome) => state.step(outcome).map_err(returned(Self::Pending)),
            (Self::Staged(state), outcome) => state.step(outcome).map_err(returned(Self::Staged)),
            (Self::Copied(state), outcome) => state.step(outcome).map_err(returned(Self::Copied)),
            (Self::Inspected(state), outcome) => {
                state.step(outcome).map_err(returned(Self::Inspected))
            }
            (Self::Verified(state), outcome) => {
                state.step(outcome).map_err(returned(Self::Verified))
            }
            (ended @ (Self::Committed(_) | Self::Failed(_)), outcome) => Err(Box::new(Refused {
                state: ended,
                outcome,
            })),
        }?;
        let cause = next.failed().map(|failed| failed.cause().clone());
        let event = Event {
            from,
            to: next.state(),
            attempt,
            outcome: facts,
            cause,
        };
        Ok((next, event))
    }

    /// The state's name.
    #[must_use]
    pub const fn state(&self) -> State {
        match self {
            Self::Pending(_) => State::Pending,
            Self::Staged(_) => State::Staged,
            Self::Copied(_) => State::Copied,
            Self::Inspected(_) => State::Inspected,
            Self::Verified(_) => State::Verified,
            Self::Committed(_) => State::Committed,
            Self::Failed(_) => State::Failed,
        }
    }

    /// What is fetched, and how.
    #[must_use]
    pub const fn task(&self) -> &Task {
        match self {
            Self::Pending(state) => state.task(),
            Self::Staged(state) => state.task(),
            Self::Copied(state) => state.staged().task(),
            Self::Inspected(state) => state.copied().staged().task(),
            Self::Verified(state) => state.inspected().copied().staged().task(),
            Self::Committed(state) => state.task(),
            Self::Failed(state) => state.task(),
        }
    }

    /// Which attempt at copying this is, from 1; 0 before the first.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        match self {
            Self::Pending(_) => 0,
            Self::Staged(state) => state.attempt(),
            Self::Copied(state) => state.staged().attempt(),
            Self::Inspected(state) => state.copied().staged().attempt(),
            Self::Verified(state) => state.inspected().copied().staged().attempt(),
            Self::Committed(state) => state.attempts(),
            Self::Failed(state) => state.attempts(),
        }
    }

    /// The failure, if the fetch has ended with one.
    #[must_use]
    pub const fn failed(&self) -> Option<&Failed> {
        match self {
            Self::Failed(failed) => Some(failed),
            _ => None,
        }
    }
}

/// Wraps what a state gives back into a refusal.
fn returned<C: Content, S>(
    wrap: impl FnOnce(S) -> Fetch<C>,
) -> impl FnOnce((S, Outcome<C>)) -> Box<Refused<C>> {
    |(state, outcome)| {
        Box::new(Refused {
            state: wrap(state),
            outcome,
        })
    }
}

/// The names of the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the variants of `Fetch` say what each is")]
pub enum State {
    Pending,
    Staged,
    Copied,
    Inspected,
    Verified,
    Committed,
    Failed,
}

impl State {
    /// Every state, in the order of the picture.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Staged,
        Self::Copied,
        Self::Inspected,
        Self::Verified,
        Self::Committed,
        Self::Failed,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
