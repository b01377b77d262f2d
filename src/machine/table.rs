//! The transitions as data: what the machine is drawn from and held against.

use super::Kind::{self, Absent, Found, FoundNotAFile, FoundOversized, Opinion, Paused, Proceed};
use super::Kind::{Published, Quarantined, Reread, Trouble};
use super::State::{self, Committed, Copied, Failed, Inspected, Pending, Staged, Verified};

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

const fn row(from: State, on: Kind, when: &'static str, to: State) -> Row {
    Row { from, on, when, to }
}

/// Every transition there is.
pub const TABLE: &[Row] = &[
    row(Pending, Absent, "", Pending),
    row(Pending, Absent, "offline", Failed),
    row(Pending, Found, "an index with this digest", Committed),
    row(Pending, Found, "another digest", Pending),
    row(Pending, Found, "this digest, not an index", Failed),
    row(Pending, FoundOversized, "another digest", Pending),
    row(Pending, FoundOversized, "this digest", Failed),
    row(Pending, FoundNotAFile, "", Pending),
    row(Pending, Quarantined, "", Pending),
    row(Pending, Quarantined, "offline", Failed),
    row(Pending, Kind::Staged, "", Staged),
    row(Pending, Trouble, "", Failed),
    row(Staged, Kind::Copied, "", Copied),
    row(Staged, Paused, "", Staged),
    row(Staged, Trouble, "transient, attempts left", Staged),
    row(Staged, Trouble, "permanent, or the last attempt", Failed),
    row(Copied, Proceed, "an index", Inspected),
    row(Copied, Proceed, "not an index", Failed),
    row(Copied, Reread, "the same bytes, an index", Inspected),
    row(Copied, Reread, "other bytes, or not an index", Failed),
    row(Copied, Trouble, "", Failed),
    row(Inspected, Proceed, "SHA-256 = digest", Verified),
    row(Inspected, Proceed, "another digest", Failed),
    row(Inspected, Opinion, "SHA-256 = digest = opinion", Verified),
    row(Inspected, Opinion, "any two differ", Failed),
    row(Inspected, Trouble, "", Failed),
    row(Verified, Published, "the same bytes read back", Committed),
    row(Verified, Published, "other bytes", Failed),
    row(Verified, Trouble, "", Failed),
];
