//! Transitions and refusals.

use serde::{Deserialize, Serialize};

use super::{Cause, Content, ContentInfo, Fetch, Outcome, State};

/// A transition, as an audit log records it and a replay repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The attempt that it belongs to, from 1; 0 before the first.
    pub attempt: u32,
    /// Why the fetch failed, where `to` is [`State::Failed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The state before.
    pub from: State,
    /// The outcome, with [`ContentInfo`] in place of bytes.
    pub outcome: Outcome<ContentInfo>,
    /// The state after.
    pub to: State,
}

/// An outcome that is not valid in a state. Both are returned unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outcome {} is not valid in state {}", .outcome.kind(), .state.state())]
pub struct Refusal<C: Content> {
    /// The state, unchanged.
    pub state: Fetch<C>,
    /// The outcome, unchanged.
    pub outcome: Outcome<C>,
}
