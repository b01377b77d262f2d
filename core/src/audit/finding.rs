//! What a check of a log finds.

use super::id::{LogId, RunId, Timestamp};
use super::record::RecordError;
use crate::digest::Digest;
use crate::machine::ObjectStatus;

/// Something that isn't as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", at.map_or_else(String::new, |at| format!("record {at}: ")))]
pub struct Finding {
    /// The record's place in the file, from 0; none for the log as a whole.
    pub at: Option<u64>,
    /// What is wrong.
    pub kind: FindingKind,
}

/// How bad a finding is, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing, as after a crash.
    Note,
    /// The log is fine, and an object isn't.
    Object,
    /// The log's end is missing.
    Truncated,
    /// The log was changed.
    Broken,
}

/// What a finding tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindingKind {
    /// The line is no record.
    #[error("{0}")]
    Record(RecordError),
    /// A record of another log.
    #[error("it is of another log, {}", .0.as_str())]
    OtherLog(LogId),
    /// A record is missing, doubled or moved.
    #[error("its number is {found}, and {expected} would follow")]
    Sequence {
        /// The number after that of the record before.
        expected: u64,
        /// The number it has.
        found: u64,
    },
    /// The record before is another than the one that this was written after.
    #[error("it doesn't follow the record before, which was changed or replaced")]
    Chain,
    /// The log doesn't begin with its genesis, or begins twice.
    #[error("a log begins with one genesis")]
    Genesis,
    /// A record of a run that hasn't begun, or begins twice.
    #[error("run {} {why}", run.as_str())]
    Run {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The fetch's records can't be a fetch's.
    #[error("fetch {fetch} doesn't replay: {why}")]
    Replay {
        /// Which fetch of the run.
        fetch: u64,
        /// What is wrong.
        why: String,
    },
    /// A crash had cut a line short, which was moved aside.
    #[error("a line that a crash had cut short ({bytes} bytes) was kept aside as {file}")]
    Recovered {
        /// How many bytes it had.
        bytes: u64,
        /// The file they are kept in.
        file: String,
    },
    /// The clock was set back.
    #[error("it was written at {}, before the record before it at {}", now.as_str(), then.as_str())]
    Clock {
        /// The time of the record before.
        then: Timestamp,
        /// The time of this one.
        now: Timestamp,
    },
    /// A run that hasn't ended.
    #[error("run {} has no end: it was killed, or still runs, or the log's end is missing", .0.as_str())]
    UnfinishedRun(RunId),
    /// Not even a beginning.
    #[error("there is no record: a log has at least its genesis")]
    Empty,
    /// The last line has no end.
    #[error("the last line is cut short ({0} bytes); the next run keeps it aside")]
    Torn(u64),
    /// The checkpoint is another log's.
    #[error("the checkpoint is of another log, {}", .0.as_str())]
    OtherCheckpoint(LogId),
    /// Records that there were are missing.
    #[error("the checkpoint has {expected} records, and the log {found}")]
    Shorter {
        /// At the time of the checkpoint.
        expected: u64,
        /// Now.
        found: u64,
    },
    /// Records from before the checkpoint were changed.
    #[error("the first {0} records are not those of the checkpoint: the log was rewritten")]
    Rewritten(u64),
    /// A committed object isn't in the cache as it was.
    #[error("{digest} was committed and is {}", status_text(status))]
    Object {
        /// The object.
        digest: Digest,
        /// What it is now.
        status: ObjectStatus,
    },
    /// An index that came into the cache by another way.
    #[error("{0} is in the cache, and no record tells of it")]
    NoRecord(Digest),
    /// Objects that are not looked for.
    #[error("{0} objects were committed to other caches, and were not looked for")]
    OtherCaches(u64),
    /// The log tells of no such cache.
    #[error(
        "no run of the log used this cache (was it moved?): the objects of all runs were looked for"
    )]
    NoSuchCache,
}

fn status_text(status: &ObjectStatus) -> &'static str {
    match status {
        ObjectStatus::Missing => "no longer in the cache",
        _ => "corrupt",
    }
}

impl Severity {
    /// Its name, for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Object => "object",
            Self::Truncated => "truncated",
            Self::Broken => "broken",
        }
    }
}

impl FindingKind {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.sort().1
    }

    /// Its name, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.sort().0
    }

    const fn sort(&self) -> (&'static str, Severity) {
        match self {
            Self::Recovered { .. } => ("recovered", Severity::Note),
            Self::Clock { .. } => ("clock", Severity::Note),
            Self::UnfinishedRun(_) => ("unfinished-run", Severity::Note),
            Self::NoRecord(_) => ("no-record", Severity::Note),
            Self::OtherCaches(_) => ("other-caches", Severity::Note),
            Self::NoSuchCache => ("no-such-cache", Severity::Note),
            Self::Object {
                status: ObjectStatus::Missing,
                ..
            } => ("object-missing", Severity::Object),
            Self::Object { .. } => ("object-corrupt", Severity::Object),
            Self::Empty => ("empty", Severity::Truncated),
            Self::Torn(_) => ("torn", Severity::Truncated),
            Self::Shorter { .. } => ("shorter", Severity::Truncated),
            Self::Record(_) => ("record", Severity::Broken),
            Self::OtherLog(_) => ("other-log", Severity::Broken),
            Self::Sequence { .. } => ("sequence", Severity::Broken),
            Self::Chain => ("chain", Severity::Broken),
            Self::Genesis => ("genesis", Severity::Broken),
            Self::Run { .. } => ("run", Severity::Broken),
            Self::Replay { .. } => ("replay", Severity::Broken),
            Self::OtherCheckpoint(_) => ("other-checkpoint", Severity::Broken),
            Self::Rewritten(_) => ("rewritten", Severity::Broken),
        }
    }
}
