//! The transitions as data: what the machine is drawn from and held against.

use super::{Kind, State};

/// One transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The state before.
    pub from: State,
    /// The outcome it takes.
    pub on: Kind,
    /// The condition, where the outcome alone doesn't decide.
    pub when: &'static str,
    /// The state after.
    pub to: State,
}

macro_rules! rows {
    ($($from:ident, $on:ident, $when:literal => $to:ident;)*) => {
        &[$(Row { from: State::$from, on: Kind::$on, when: $when, to: State::$to }),*]
    };
}

/// Every transition there is: state, outcome, condition, next state.
pub const TABLE: &[Row] = rows! {
    Pending, Absent, "" => Pending;
    Pending, Absent, "offline" => Failed;
    Pending, Found, "an index with this digest" => Committed;
    Pending, Found, "another digest" => Pending;
    Pending, Found, "this digest, not an index" => Failed;
    Pending, FoundOversized, "another digest" => Pending;
    Pending, FoundOversized, "this digest" => Failed;
    Pending, FoundNotAFile, "" => Pending;
    Pending, Quarantined, "" => Pending;
    Pending, Quarantined, "offline" => Failed;
    Pending, Staged, "" => Staged;
    Pending, Trouble, "" => Failed;
    Staged, Copied, "" => Copied;
    Staged, Paused, "" => Staged;
    Staged, Trouble, "transient, attempts left" => Staged;
    Staged, Trouble, "permanent, or the last attempt" => Failed;
    Copied, Proceed, "an index" => Inspected;
    Copied, Proceed, "not an index" => Failed;
    Copied, Reread, "the same bytes, an index" => Inspected;
    Copied, Reread, "other bytes, or not an index" => Failed;
    Copied, Trouble, "" => Failed;
    Inspected, Proceed, "SHA-256 = digest" => Verified;
    Inspected, Proceed, "another digest" => Failed;
    Inspected, Opinion, "SHA-256 = digest = opinion" => Verified;
    Inspected, Opinion, "any two differ" => Failed;
    Inspected, Trouble, "" => Failed;
    Verified, Published, "the same bytes read back" => Committed;
    Verified, Published, "other bytes" => Failed;
    Verified, Trouble, "" => Failed;
};
