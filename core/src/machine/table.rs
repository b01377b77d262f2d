//! The transitions as data: the pictures are drawn from it, and `step` is tested
//! against it.

use super::{OutcomeKind, State};

/// One transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// The state before.
    pub from: State,
    /// The outcome.
    pub on: OutcomeKind,
    /// The condition, where the outcome alone doesn't decide.
    pub when: &'static str,
    /// The state after.
    pub to: State,
}

macro_rules! rows {
    ($($from:ident, $on:ident, $when:literal => $to:ident;)*) => {
        &[$(TableRow { from: State::$from, on: OutcomeKind::$on, when: $when, to: State::$to }),*]
    };
}

/// Every transition: state, outcome, condition, next state.
pub const TABLE: &[TableRow] = rows! {
    Pending, Absent, "" => Pending;
    Pending, Absent, "offline" => Failed;
    Pending, Found, "an index with this digest" => Committed;
    Pending, Found, "an index with this digest, and verifiers" => Verified;
    Pending, Found, "another digest" => Pending;
    Pending, Found, "this digest, not an index" => Failed;
    Pending, Oversized, "" => Failed;
    Pending, NotAFile, "" => Pending;
    Pending, Quarantined, "" => Pending;
    Pending, Quarantined, "offline" => Failed;
    Pending, Staged, "" => Staged;
    Pending, Failed, "" => Failed;
    Staged, Fetched, "" => Copied;
    Staged, BackoffElapsed, "" => Staged;
    Staged, Failed, "transient, attempts left" => Staged;
    Staged, Failed, "permanent, or the last attempt" => Failed;
    Copied, Continued, "an index" => Inspected;
    Copied, Continued, "not an index" => Failed;
    Copied, CopyRead, "the same bytes, an index" => Inspected;
    Copied, CopyRead, "other bytes, or not an index" => Failed;
    Copied, Failed, "" => Failed;
    Inspected, Continued, "SHA-256 = digest" => Verified;
    Inspected, Continued, "another digest" => Failed;
    Inspected, ManifestDigest, "SHA-256 = digest = skopeo's" => Verified;
    Inspected, ManifestDigest, "any two differ" => Failed;
    Inspected, Failed, "" => Failed;
    Verified, Published, "no verifiers, the same bytes read back" => Committed;
    Verified, Published, "no verifiers, anything else read back" => Failed;
    Verified, VerifierExited, "status 0, verifiers left" => Verified;
    Verified, VerifierExited, "status 0, the last verifier" => Authenticated;
    Verified, VerifierExited, "another status" => Failed;
    Verified, Failed, "" => Failed;
    Authenticated, Published, "the same bytes read back" => Committed;
    Authenticated, Published, "anything else read back" => Failed;
    Authenticated, Continued, "a hit" => Committed;
    Authenticated, Failed, "" => Failed;
};
