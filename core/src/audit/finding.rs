//! What verification of a log reports.

use super::contradiction::Contradiction;
use super::id::{LogId, RunId, Timestamp};
use super::note::SignatureError;
use super::record::RecordError;
use super::rotation::FileName;
use crate::digest::Digest;
use crate::escape::quote;
use crate::machine::ObjectStatus;

/// Something that verification reports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", at.map_or_else(String::new, |at| format!("record {at}: ")))]
pub struct Finding {
    /// Position of the line in the file, from 0; `None` if it is about the whole log.
    pub at: Option<u64>,
    /// What was found.
    pub kind: FindingKind,
}

/// How bad a finding is, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Not an error: what a crash leaves, for example.
    Note,
    /// The log is intact, an object in the cache is not.
    Object,
    /// The end of the log is missing.
    Truncated,
    /// The log was changed.
    Broken,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindingKind {
    /// The line is not a record.
    #[error("{0}")]
    InvalidRecord(RecordError),
    /// The record is of another log.
    #[error("the record is of another log, {}", .0.as_str())]
    ForeignRecord(LogId),
    /// A record is missing, duplicated or moved.
    #[error("sequence number is {found}, expected {expected}")]
    Sequence {
        /// The sequence number after the previous one.
        expected: u64,
        /// The record's sequence number.
        found: u64,
    },
    /// The record was written after another line than the previous one.
    #[error("`prev` is not the leaf hash of the previous line, which was changed or replaced")]
    Chain,
    /// The first record is not a genesis, or another one is.
    #[error("the first record must be a genesis, and no other")]
    Genesis,
    /// The record does not fit its run: the run has not begun or has ended, ends with other
    /// counts, or has an impossible version, cache or skopeo.
    #[error("run {run} {reason}")]
    Run {
        /// The run.
        run: RunId,
        /// What is wrong, as a predicate.
        reason: &'static str,
    },
    /// The state machine does not make this transition.
    #[error("fetch {fetch} can't be replayed: {reason}")]
    Replay {
        /// Number of the fetch in its run.
        fetch: u64,
        /// Where record and replay differ.
        reason: String,
    },
    /// A record of a fetch contradicts itself or earlier records.
    #[error("fetch {fetch}: {contradiction}")]
    Contradiction {
        /// Number of the fetch in its run.
        fetch: u64,
        /// What can't be.
        contradiction: Contradiction,
    },
    /// The record of a run names a user, a machine or labels that no run records.
    #[error("run {run} {reason}")]
    Invocation {
        /// The run.
        run: RunId,
        /// What is wrong, as a predicate.
        reason: &'static str,
    },
    /// Two runs have one id.
    #[error("run {0} begins again, or another run has its id")]
    ReusedRun(RunId),
    /// The year is one that no record is of, as [`Timestamp::is_plausible`] has it.
    #[error("implausible time {}", .0.as_str())]
    ImplausibleTime(Timestamp),
    /// The record is older than the log.
    #[error("time {} is before the log's first record, {}", time.as_str(), first.as_str())]
    TimeBeforeLog {
        /// Time of the log's first record.
        first: Timestamp,
        /// Time of this record.
        time: Timestamp,
    },
    /// A torn line is named by the next record.
    #[error("a torn line ({0} bytes), which the next record names")]
    RecoveredLine(u64),
    /// A line after the record that ends the log.
    #[error("the log ended before this line, when it was rotated")]
    AfterRotation,
    /// The log does not continue the one before it.
    #[error("the log does not continue the one before it: {0}")]
    Succession(&'static str),
    /// The last log was rotated, and does not have the name that it is kept at.
    #[error("the log was rotated, to be kept as {}; unless this is a copy of it, `audit rotate` finishes that", quote(.0.as_str()))]
    UnfinishedRotation(FileName),
    /// The log continues another one, which was not given.
    #[error("the log continues {}, which was not checked", .0.as_str())]
    UncheckedPrevious(LogId),
    /// A `recovered` record does not name the lines before it.
    #[error("the record does not name the torn lines before it")]
    Recovery,
    /// The clock was set back.
    #[error("clock set back from {} to {}", previous.as_str(), time.as_str())]
    Clock {
        /// Time of the previous record.
        previous: Timestamp,
        /// Time of this record.
        time: Timestamp,
    },
    /// A run without an `end` record.
    #[error("run {0} never finished: it was killed, is still running, or the log is truncated")]
    UnfinishedRun(RunId),
    /// The file begins like no log, and has no records: nothing is appended to it.
    #[error("the file is not a log")]
    NotALog,
    /// The log has no records.
    #[error("the log is empty: expected at least a genesis record")]
    EmptyLog,
    /// A line at the end is torn, with this length in bytes.
    #[error("the last line is torn ({0} bytes); the next run names it and continues")]
    TornLine(u64),
    /// No trusted key has signed the checkpoint, so that the log was not compared with it.
    #[error("the checkpoint is refused: {0}")]
    RefusedCheckpoint(SignatureError),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of another log, {}", .0.as_str())]
    ForeignCheckpoint(LogId),
    /// The log has fewer records than the checkpoint.
    #[error("the log has {found} records, the checkpoint {expected}")]
    TruncatedLog {
        /// Size in the checkpoint.
        expected: u64,
        /// Size of the log.
        found: u64,
    },
    /// Records from before the checkpoint, of this size, were changed.
    #[error(
        "up to the checkpoint's size, {0}, the records are not its records: the log was rewritten"
    )]
    RewrittenLog(u64),
    /// A committed object is no longer intact.
    #[error("{digest} was committed and is now {}", status_text(status))]
    Object {
        /// The object's name.
        digest: Digest,
        /// What it is now.
        status: ObjectStatus,
    },
    /// The cache has an index that no record says was committed.
    #[error("{0} is in the cache without a record")]
    UnrecordedObject(Digest),
    /// Number of objects that were committed to other caches.
    #[error("objects in other caches, not checked: {0}")]
    OtherCaches(u64),
    /// No run used the checked cache.
    #[error("no run used this cache (was it moved?): checked for the objects of all runs")]
    UnknownCache,
}

const fn status_text(status: &ObjectStatus) -> &'static str {
    match status {
        ObjectStatus::Intact { .. } => "intact",
        ObjectStatus::NotAnIndex(_) => "not an index",
        ObjectStatus::Corrupt => "corrupt",
        ObjectStatus::Missing => "missing",
    }
}

impl Severity {
    /// The name in JSON.
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
    /// How bad the finding is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.classify().1
    }

    /// The name in JSON.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.classify().0
    }

    /// Every name in JSON, with its severity.
    pub fn codes() -> impl Iterator<Item = (&'static str, Severity)> {
        let broken = |code: &&'static str| (*code, Severity::Broken);
        let own = Self::OWN_CODES.iter().copied();
        own.chain(Contradiction::CODES.iter().map(broken))
    }
}

macro_rules! classify {
    ($($kind:pat => $code:literal, $severity:ident;)*) => {
        impl FindingKind {
            const OWN_CODES: &[(&str, Severity)] = &[$(($code, Severity::$severity)),*];

            const fn classify(&self) -> (&'static str, Severity) {
                match self {
                    Self::Contradiction { contradiction, .. } => {
                        (contradiction.code(), Severity::Broken)
                    }
                    $($kind => ($code, Severity::$severity)),*
                }
            }
        }
    };
}

classify! {
    Self::RecoveredLine(_) => "recovered-line", Note;
    Self::Clock { .. } => "clock", Note;
    // A clock that was wrong at first is corrected.
    Self::TimeBeforeLog { .. } => "time-before-log", Note;
    Self::UnfinishedRun(_) => "unfinished-run", Note;
    Self::UnrecordedObject(_) => "unrecorded-object", Note;
    Self::OtherCaches(_) => "other-caches", Note;
    Self::UnknownCache => "unknown-cache", Note;
    Self::Object { status: ObjectStatus::Missing, .. } => "object-missing", Object;
    Self::Object { .. } => "object-corrupt", Object;
    Self::EmptyLog => "empty-log", Truncated;
    Self::TornLine(_) => "torn-line", Truncated;
    Self::TruncatedLog { .. } => "truncated-log", Truncated;
    Self::InvalidRecord(_) => "invalid-record", Broken;
    Self::ForeignRecord(_) => "foreign-record", Broken;
    Self::NotALog => "not-a-log", Broken;
    Self::Sequence { .. } => "sequence", Broken;
    Self::Chain => "chain", Broken;
    Self::UncheckedPrevious(_) => "unchecked-previous", Note;
    Self::UnfinishedRotation(_) => "unfinished-rotation", Note;
    Self::AfterRotation => "after-rotation", Broken;
    Self::Succession(_) => "succession", Broken;
    Self::Recovery => "recovery", Broken;
    Self::Genesis => "genesis", Broken;
    Self::Run { .. } => "run", Broken;
    Self::Replay { .. } => "replay", Broken;
    Self::Invocation { .. } => "invocation", Broken;
    Self::ReusedRun(_) => "reused-run", Broken;
    Self::ImplausibleTime(_) => "implausible-time", Broken;
    Self::RefusedCheckpoint(_) => "refused-checkpoint", Broken;
    Self::ForeignCheckpoint(_) => "foreign-checkpoint", Broken;
    Self::RewrittenLog(_) => "rewritten-log", Broken;
}
