//! Transitions and refusals.

use serde::{Deserialize, Serialize};

use super::{Cause, Content, Facts, Fetch, Outcome, State};

/// A transition: what an audit log records and a replay feeds back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Which attempt at copying it belongs to, from 1; 0 before the first.
    pub attempt: u32,
    /// Why it failed, where `to` is [`State::Failed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The state before.
    pub from: State,
    /// What was brought, with facts in place of bytes.
    pub outcome: Outcome<Facts>,
    /// The state after.
    pub to: State,
}

/// An outcome that a state has no use for. Nothing is lost: both are here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state {} has no use for the outcome {}", .state.state(), .outcome.kind())]
pub struct Refused<C: Content> {
    /// The state, unchanged.
    pub state: Fetch<C>,
    /// The outcome, unchanged.
    pub outcome: Outcome<C>,
}
