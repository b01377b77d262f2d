//! One fetch as a typed state machine.
//!
//! ```text
//!            hit, rehashed                    (bytes)        (an index)     (SHA-256 = digest)   (durable)
//!  Pending ───────────────────────────────────────────────────────────────────────────────────▶ Committed
//!     │ miss                                                                                        ▲
//!     ▼                                                                                             │
//!  Staged ──────▶ Copied ──────▶ Inspected ──────▶ Verified ────────────────────────────────────────┘
//!     ▲  │ transient failure: next attempt, after a backoff
//!     └──┘                     any state ──▶ Failed(state it failed in, cause)
//! ```
//!
//! With verifiers, no object is committed without the approval of each, a hit neither:
//! Pending (hit) or Inspected ──▶ Verified ──▶ Authenticated ──▶ Committed.
//!
//! # The caller's duties
//!
//! 1. Call [`Fetch::wants`]. `None` means that the fetch has ended.
//! 2. Perform the [`Effect`], and describe the result as an [`Outcome`]. A failure is
//!    an outcome, too: [`Outcome::Failed`].
//! 3. Pass it to [`Fetch::step`], the only way from state to state. It returns the next
//!    state and the transition as an [`Event`]; or a [`Refusal`] with state and outcome
//!    unchanged, where the outcome doesn't answer the effect.
//! 4. Record the event before acting on the new state.
//! 5. Once the fetch has ended, remove what is at [`Fetch::staging`].
//!
//! Executor, model checker, log replay and fuzz targets all do this.
//!
//! # What the types guarantee
//!
//! Each state is a struct in its own file and holds the evidence that it has earned. Its
//! constructor takes the state before by value, so a state can't be skipped, forged or
//! used twice. Nor can one be deserialized:
//!
//! ```compile_fail,E0277
//! use skopeo_index_core::machine::{Committed, ManifestBytes};
//! let forged: Committed<ManifestBytes> = serde_json::from_str("{}").unwrap();
//! ```
//!
//! Outcomes are claims. None says "verified": an outcome brings bytes, and the core
//! compares them itself.
//!
//! ```
//! use std::num::NonZeroU32;
//! use skopeo_index_core::digest::Digest;
//! use skopeo_index_core::machine::*;
//! use skopeo_index_core::request::{Location, Request, TlsVerify};
//!
//! let index = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
//! let location = Location::Docker { tls_verify: TlsVerify::Unset };
//! let request = Request::new("quay.io/app".parse().unwrap(), location, Digest::of(&index));
//! let (attempts, method, network) = (NonZeroU32::MIN, Method::Raw, Network::Allowed);
//! let policy = FetchPolicy { attempts, method, network };
//! let mut fetch = Fetch::new(Task { request, policy, verifiers: 0 });
//! while let Some(effect) = fetch.wants() {
//!     let content = ManifestBytes::from(index.clone());
//!     let outcome = match effect {
//!         Effect::LookUp { .. } => Outcome::LookedUp { entry: CacheEntry::Absent },
//!         Effect::Stage => Outcome::Staged { staging: Staging::new("staging/0".into()) },
//!         Effect::Fetch { .. } => Outcome::Fetched { content },
//!         Effect::Publish { .. } => Outcome::Published {
//!             placement: Placement::New,
//!             read_back: CacheEntry::File { content },
//!         },
//!         _ => Outcome::Continued,
//!     };
//!     fetch = fetch.step(outcome).unwrap().0;
//! }
//! assert_eq!(fetch.state(), State::Committed);
//! ```

#![allow(clippy::result_large_err, reason = "a refusal returns the whole state")]

/// An enum of names, with a list of all of them in their order.
macro_rules! listed {
    ($(#[$attribute:meta])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($variant),*
        }

        impl $name {
            /// Every variant.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self, f)
            }
        }
    };
}

mod authenticated;
mod cache_entry;
mod cause;
mod committed;
mod content;
mod copied;
mod effect;
mod event;
mod failed;
mod inspected;
mod outcome;
mod pending;
mod staged;
mod table;
mod task;
mod verified;

pub use authenticated::Authenticated;
pub use cache_entry::{CacheEntry, ObjectStatus};
pub use cause::{CancelReason, Cause, EffectError, FailureKind};
pub use committed::{Committed, Provenance};
pub use content::{Classification, Content, ContentInfo, ManifestBytes};
pub use copied::Copied;
pub use effect::{Effect, Staging};
pub use event::{Event, Refusal};
pub use failed::Failed;
pub use inspected::Inspected;
pub use outcome::{Outcome, OutcomeKind, Placement};
pub use pending::Pending;
pub use staged::Staged;
pub use table::{TABLE, TableRow};
pub use task::{Attempts, FetchPolicy, MAX_RETRY_TIMES, Method, Network, Task};
pub use verified::Verified;

use serde::{Deserialize, Serialize};

/// A fetch in any of its states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetch<C: Content = ManifestBytes> {
    /// The cache was not read yet, or has no usable object.
    Pending(Pending),
    /// Names for the copy are reserved.
    Staged(Staged),
    /// The bytes were fetched.
    Copied(Copied<C>),
    /// The bytes are an index.
    Inspected(Inspected<C>),
    /// SHA-256 of the bytes is the requested digest.
    Verified(Verified<C>),
    /// Every verifier has approved the bytes.
    Authenticated(Authenticated<C>),
    /// The object is in the cache, whole and durable.
    Committed(Committed<C>),
    /// The fetch ended without the object.
    Failed(Failed),
}

/// Result of a transition: the next state, or state and outcome returned unchanged.
type StepResult<C> = Result<Fetch<C>, (Fetch<C>, Outcome<C>)>;

impl<C: Content> Fetch<C> {
    /// A new fetch, in state Pending.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self::Pending(Pending::new(task))
    }

    /// The effect that the state asks for; `None` once the fetch has ended.
    #[must_use]
    pub fn wants(&self) -> Option<Effect<'_, C>> {
        match self {
            Self::Pending(state) => Some(state.wants()),
            Self::Staged(state) => Some(state.wants()),
            Self::Copied(state) => Some(state.wants()),
            Self::Inspected(state) => Some(state.wants()),
            Self::Verified(state) => Some(state.wants()),
            Self::Authenticated(state) => Some(state.wants()),
            Self::Committed(_) | Self::Failed(_) => None,
        }
    }

    /// Takes the outcome of the effect, and returns the next state and the
    /// transition.
    ///
    /// # Errors
    /// [`Refusal`], with state and outcome unchanged, where the outcome is not valid
    /// in the state.
    pub fn step(self, outcome: Outcome<C>) -> Result<(Self, Event), Box<Refusal<C>>> {
        let (from, attempt, info) = (self.state(), self.attempt(), outcome.to_info());
        let next = match (self, outcome) {
            (ended @ (Self::Committed(_) | Self::Failed(_)), outcome) => Err((ended, outcome)),
            (Self::Staged(state), outcome) => state.step(outcome),
            (state, Outcome::Failed { error }) => Ok(Self::Failed(state.abandon(error))),
            (Self::Pending(state), outcome) => state.step(outcome),
            (Self::Copied(state), outcome) => state.step(outcome),
            (Self::Inspected(state), outcome) => state.step(outcome),
            (Self::Verified(state), outcome) => state.step(outcome),
            (Self::Authenticated(state), outcome) => state.step(outcome, Self::Authenticated),
        };
        let next = next.map_err(|(state, outcome)| Box::new(Refusal { state, outcome }))?;
        let event = Event {
            attempt,
            cause: next.failed().map(|failed| failed.cause().clone()),
            from,
            outcome: info,
            to: next.state(),
        };
        Ok((next, event))
    }

    /// Ends the fetch as failed in its present state: an effect failed, or the transition to
    /// that state could not be recorded. A failed fetch keeps its cause.
    #[must_use]
    pub fn abandon(self, error: EffectError) -> Failed {
        match self {
            Self::Failed(failed) => failed,
            other => Failed::new(&other, Cause::EffectFailed { error }),
        }
    }

    /// Ends the fetch as failed in its present state.
    fn fail(self, cause: Cause) -> Self {
        Self::Failed(Failed::new(&self, cause))
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
            Self::Authenticated(_) => State::Authenticated,
            Self::Committed(_) => State::Committed,
            Self::Failed(_) => State::Failed,
        }
    }

    /// The present or last attempt, from 1; 0 before the first.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        match self {
            Self::Committed(state) => state.attempts(),
            Self::Failed(state) => state.attempts(),
            _ => match self.staged() {
                Some(staged) => staged.attempt(),
                None => 0,
            },
        }
    }

    /// The request and the rules of its fetch.
    #[must_use]
    pub const fn task(&self) -> &Task {
        match self {
            Self::Pending(state) => state.task(),
            Self::Staged(state) => state.task(),
            Self::Copied(state) => state.staged().task(),
            Self::Inspected(state) => state.copied().staged().task(),
            Self::Verified(state) => state.task(),
            Self::Authenticated(state) => state.verified().task(),
            Self::Committed(state) => state.task(),
            Self::Failed(state) => state.task(),
        }
    }

    /// The reserved names, which the caller removes once the fetch has ended.
    #[must_use]
    pub const fn staging(&self) -> Option<&Staging> {
        match self {
            Self::Committed(state) => state.staging(),
            Self::Failed(state) => state.staging(),
            _ => match self.staged() {
                Some(staged) => Some(staged.staging()),
                None => None,
            },
        }
    }

    const fn staged(&self) -> Option<&Staged> {
        match self {
            Self::Staged(state) => Some(state),
            Self::Copied(state) => Some(state.staged()),
            Self::Inspected(state) => Some(state.copied().staged()),
            Self::Verified(state) => state.staged(),
            Self::Authenticated(state) => state.verified().staged(),
            Self::Pending(_) | Self::Committed(_) | Self::Failed(_) => None,
        }
    }

    /// The failure, if the fetch ended with one.
    #[must_use]
    pub const fn failed(&self) -> Option<&Failed> {
        match self {
            Self::Failed(failed) => Some(failed),
            _ => None,
        }
    }
}

listed! {
    /// The names of the states.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[expect(missing_docs, reason = "the variants of `Fetch` document each")]
    State { Pending, Staged, Copied, Inspected, Verified, Authenticated, Committed, Failed }
}
