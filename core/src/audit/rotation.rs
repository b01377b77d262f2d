//! Rotation: a log ends with a record that names the next one, whose genesis has the
//! checkpoint of the first.
//!
//! ```text
//!  LOG.1   genesis … rotated{file: LOG.1, next: B}
//!  LOG     genesis{previous: file, log, size and root of LOG.1} …     log id B
//! ```

use std::mem;

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::finding::{Finding, FindingKind};
use super::id::LogId;
use super::merkle::NodeHash;
use super::record::hex_hash;
use super::verify::LogVerifier;
use crate::escape::quote;

/// Where a rotated log continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The name that this log is kept at, in its directory.
    pub file: FileName,
    /// The log that continues it, at this log's old name.
    pub next: LogId,
}

/// A rotated log: where it was kept, and its final checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviousLog {
    /// The name that it was kept at, in the log's directory.
    pub file: FileName,
    /// Its log id.
    pub log: LogId,
    /// Its root.
    #[serde(with = "hex_hash")]
    pub root: NodeHash,
    /// Number of its lines.
    pub size: u64,
}

impl PreviousLog {
    /// Describes a log by its final checkpoint.
    #[must_use]
    pub fn new(file: FileName, checkpoint: Checkpoint) -> Self {
        Self {
            file,
            log: checkpoint.origin,
            root: checkpoint.root,
            size: checkpoint.size,
        }
    }
}

/// The name of a file in a directory: without `/`, and neither `.` nor `..`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct FileName(String);

/// A text is not the name of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a file name: {}", quote(.0))]
pub struct FileNameError(String);

/// Linux's `NAME_MAX`, in bytes.
const MAX_FILE_NAME_LEN: usize = 255;

impl FileName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = FileNameError;

    fn try_from(name: String) -> Result<Self, FileNameError> {
        let is_dots = matches!(&*name, "" | "." | "..");
        if is_dots || name.len() > MAX_FILE_NAME_LEN || name.contains(['/', '\0']) {
            return Err(FileNameError(name));
        }
        Ok(Self(name))
    }
}

const NOT_ROTATED: &str = "that one was not rotated (give the current log last)";

const OTHER_NEXT: &str = "that one is continued by another log (give logs in the order of their \
                          rotations, LOG.2 before LOG.10)";

const OTHER_ORIGIN: &str = "no rotation makes its origin of that one's";

const NO_PREVIOUS: &str = "its origin is that of a rotation, and its genesis names no such log";

impl LogVerifier {
    /// Ends a log's file, and begins that of the log that continues it. `torn` is the length of
    /// the bytes after the last newline.
    pub fn next_log(&mut self, torn: u64) -> Vec<Finding> {
        let findings = self.end_log(torn);
        let log = mem::take(&mut self.log);
        self.lines += log.tree.size();
        self.earlier.extend(log.checkpoint());
        self.previous = log
            .checkpoint()
            .map(|checkpoint| (checkpoint, log.rotation));
        findings
    }

    /// Reports torn lines at the end of a log, and compares it with the checkpoint.
    pub(super) fn end_log(&mut self, torn: u64) -> Vec<Finding> {
        self.note_checkpoint();
        let ended = mem::take(&mut self.log.torn).into_iter();
        let ended = ended.map(|(at, torn, _)| Finding {
            at: Some(at),
            kind: FindingKind::TornLine(torn.bytes),
        });
        let (mut findings, mut kinds) = (ended.collect::<Vec<_>>(), Vec::new());
        let found = self.log.tree.size();
        if torn > 0 {
            kinds.push(FindingKind::TornLine(torn));
        } else if found == 0 {
            kinds.push(FindingKind::EmptyLog);
        }
        // A log without a record may be the checkpoint's, and was truncated.
        if let Some(checkpoint) = &self.checkpoint
            && self
                .log
                .id
                .as_ref()
                .map_or(!self.checkpoint_found, |log| *log == checkpoint.origin)
        {
            self.checkpoint_found = true;
            let expected = checkpoint.size;
            if expected > found {
                kinds.push(FindingKind::TruncatedLog { expected, found });
            } else if self
                .log
                .root_at_checkpoint
                .is_some_and(|root| root != checkpoint.root)
            {
                kinds.push(FindingKind::RewrittenLog(expected));
            }
        }
        findings.extend(kinds.into_iter().map(|kind| Finding { at: None, kind }));
        findings
    }

    /// Checks that a genesis continues the log before it, or begins the first one.
    pub(super) fn check_succession(
        &mut self,
        log: &LogId,
        begins_with: Option<&PreviousLog>,
        kinds: &mut Vec<FindingKind>,
    ) {
        let other_origin = match begins_with {
            Some(previous) => (!previous.log.is_continued_by(log)).then_some(OTHER_ORIGIN),
            None => (!log.is_first()).then_some(NO_PREVIOUS),
        };
        kinds.extend(other_origin.map(FindingKind::Succession));
        match (self.previous.take(), begins_with) {
            (None, None) => {}
            (None, Some(previous)) => {
                self.previous_unchecked = true;
                kinds.push(FindingKind::UncheckedPrevious(previous.log.clone()));
            }
            (Some((_, None)), _) => {
                kinds.push(FindingKind::Succession(NOT_ROTATED));
            }
            (Some((_, Some(rotation))), _) if rotation.next != *log => {
                kinds.push(FindingKind::Succession(OTHER_NEXT));
            }
            (Some((checkpoint, Some(rotation))), previous) => {
                if previous != Some(&PreviousLog::new(rotation.file, checkpoint)) {
                    kinds.push(FindingKind::Succession(
                        "its genesis has another final checkpoint",
                    ));
                }
            }
        }
    }
}
