//! Why a log can't be appended to.

use std::io;
use std::path::{Path, PathBuf};

use super::super::lines::LINE_MAX;
use crate::text::Escaped;

/// Why the log can't be appended to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refused it.
    #[error("cannot {doing} {}: {error}", Escaped(&.path.to_string_lossy()))]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Its last line is no record, so that nothing can follow it.
    #[error("{}: the last line is not a record ({why}); `skopeo-index audit verify` tells more", Escaped(&.path.to_string_lossy()))]
    Broken {
        /// The log.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Somebody else holds its lock for longer than a record takes.
    #[error("{}: somebody else holds its lock (`lslocks` tells who)", Escaped(&.0.to_string_lossy()))]
    Busy(PathBuf),
    /// It was not synced once, and nobody knows what of it is durable.
    #[error("{}: not gone on with, since it could not be synced before ({why})", Escaped(&.path.to_string_lossy()))]
    Unsynced {
        /// The log.
        path: PathBuf,
        /// What the system said then.
        why: String,
    },
    /// The records that were written to it are no longer in it.
    #[error("{}: not gone on with, since it was cut or replaced while this run wrote it", Escaped(&.0.to_string_lossy()))]
    Cut(PathBuf),
    /// The record is longer than any has to be.
    #[error("{}: a record of {length} bytes is longer than {LINE_MAX}", Escaped(&.path.to_string_lossy()))]
    TooLong {
        /// The log.
        path: PathBuf,
        /// The record's length.
        length: usize,
    },
}

impl LogError {
    /// Names what was being done to what.
    pub(in crate::audit) fn during<'p>(
        doing: &'static str,
        path: &'p Path,
    ) -> impl Fn(io::Error) -> Self + Copy + use<'p> {
        move |error| Self::Io {
            doing,
            path: path.to_owned(),
            error,
        }
    }

    pub(super) fn broken(path: &Path, why: &str) -> Self {
        Self::Broken {
            path: path.to_owned(),
            why: Escaped(why).to_string(),
        }
    }
}
