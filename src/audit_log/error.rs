//! Why a log can't be appended to.

use std::path::PathBuf;

use skopeo_index_core::audit::{
    LogId, LongArguments, MAX_NEW_ORIGIN_LEN, MAX_RECORD_LEN, Timestamp,
};
use skopeo_index_core::escape::EscapedPath;
use skopeo_index_core::machine::{CancelReason, EffectError};

use super::ReadError;
use crate::os::PathError;

/// Why a log can't be appended to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The log can't be read, or is broken: its checkpoint would be worth nothing.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The last line is not a record, so no record can follow it.
    #[error("{}: the last line is not a record ({reason})", EscapedPath(.path))]
    Broken {
        /// The log.
        path: PathBuf,
        /// What is wrong with the line.
        reason: String,
    },
    /// Another process holds the lock for longer than a record takes.
    #[error("{}: locked by another process (see `lslocks`)", EscapedPath(.0))]
    Locked(PathBuf),
    /// Another process held the lock until the run was cancelled.
    #[error("{}: locked by another process: {reason}", EscapedPath(.path))]
    Cancelled {
        /// The log.
        path: PathBuf,
        /// Why the run was cancelled.
        reason: CancelReason,
    },
    /// An earlier fsync failed: it is not known which records are durable.
    #[error(
        "{}: refusing to append: an earlier fsync failed ({error})",
        EscapedPath(.path)
    )]
    SyncFailed {
        /// The log.
        path: PathBuf,
        /// The system's error text.
        error: String,
    },
    /// The records that this run wrote are no longer in the log.
    #[error(
        "{}: refusing to append: the log was truncated or replaced during this run",
        EscapedPath(.0)
    )]
    Truncated(PathBuf),
    /// The log was rotated, and this is the path that it is kept at.
    #[error(
        "{}: this log was rotated; append to the one that continues it",
        EscapedPath(.0)
    )]
    Rotated(PathBuf),
    /// The log may only be appended to (`chattr +a`): it can't get another name.
    #[error("{}: an append-only log can't be rotated", EscapedPath(.0))]
    AppendOnly(PathBuf),
    /// The log was ended, and the system refused another step of its rotation.
    #[error("{}: its rotation is not finished: {error}", EscapedPath(.path))]
    UnfinishedRotation {
        /// The log.
        path: PathBuf,
        /// What the system refused.
        error: PathError,
    },
    /// The clock was never set: no verification would accept its times.
    #[error("refusing to record the time {}: set the system clock", .0.as_str())]
    Clock(Timestamp),
    /// The log has another origin than the required one.
    #[error(
        "{}: the log's origin is {}; a log keeps the one that it began with",
        EscapedPath(.path),
        .origin.as_str()
    )]
    OtherOrigin {
        /// The log.
        path: PathBuf,
        /// Its origin.
        origin: LogId,
    },
    /// A new log can't begin with the required origin: its rotations would not fit.
    #[error(
        "{}: a new log's origin has at most {MAX_NEW_ORIGIN_LEN} bytes, not {length}: longer ones \
         have no room for the number of a rotation",
        EscapedPath(.path)
    )]
    LongOrigin {
        /// The log.
        path: PathBuf,
        /// The origin's length in bytes.
        length: usize,
    },
    /// The log is not an extension of the one that a checkpoint was made of.
    #[error(
        "{}: not the log of the saved checkpoint: it was rewritten, cut or replaced",
        EscapedPath(.0)
    )]
    NotExtended(PathBuf),
    /// A verifier's record would be longer than a record may be.
    #[error("{}: {error}", EscapedPath(.path))]
    LongVerifier {
        /// The log.
        path: PathBuf,
        /// Which verifier, and why.
        error: LongArguments,
    },
    /// The record is longer than a record may be.
    #[error(
        "{}: a record of {length} bytes exceeds {MAX_RECORD_LEN}",
        EscapedPath(.path)
    )]
    TooLong {
        /// The log.
        path: PathBuf,
        /// The record's length in bytes.
        length: usize,
    },
}

impl From<LogError> for EffectError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Cancelled { reason, .. } => Self::Cancelled { reason },
            error => Self::AuditLog {
                error: error.to_string(),
            },
        }
    }
}
