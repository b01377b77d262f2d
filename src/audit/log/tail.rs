//! What the next record follows.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::super::lines::LINE_MAX;
use super::super::merkle::{Hash, leaf};
use super::super::names::{Origin, RunId, Time};
use super::super::record::{Op, Record, Schema};
use super::{LOCK_PATIENCE, Log, LogError};

/// What a writer knows of its log.
#[derive(Debug)]
pub(super) struct Tail {
    /// What it wrote last; `None` before its first record.
    pub(super) last: Option<Written>,
    /// For how long it waits for the lock.
    pub(super) patience: Duration,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            last: None,
            patience: LOCK_PATIENCE,
        }
    }
}

/// A record that was written here.
#[derive(Debug)]
pub(super) struct Written {
    /// Where its line begins.
    pub(super) from: u64,
    pub(super) end: End,
}

/// The end of a log's last record.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// Bytes up to there; a file of another length has more, by somebody else.
    pub(super) length: u64,
    /// The number of the next record.
    seq: u64,
    /// Its leaf.
    prev: Hash,
    pub(super) log: Origin,
}

impl Log<'_> {
    /// Finds out what others have appended.
    pub(super) fn catch_up(
        &self,
        known: Option<&Written>,
        length: u64,
        run: &RunId,
    ) -> Result<End, LogError> {
        let cut = || LogError::Cut(self.path.clone());
        if let Some(known) = known
            && !self.still_has(known, length)?
        {
            return Err(cut());
        }
        let end = self.read_end(known.map_or(0, |known| known.from), length)?;
        let newline = end.iter().rposition(|byte| *byte == b'\n');
        let (lines, torn) = end.split_at(newline.map_or(0, |at| at + 1));
        if torn.len() > LINE_MAX {
            return Err(self.broken("it has no end"));
        }
        let found = match lines.strip_suffix(b"\n") {
            None => None,
            Some(lines) => {
                let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or(lines);
                Some(self.parsed(last, length - torn.len() as u64)?)
            }
        };
        let goes_on = |known: &Written| {
            let (found, known) = (found.as_ref(), &known.end);
            found.is_some_and(|found| found.log == known.log && found.seq >= known.seq)
        };
        if !known.is_none_or(goes_on) {
            return Err(cut());
        }
        match found {
            found if !torn.is_empty() => self.recover(found, torn, run),
            Some(found) => Ok(found),
            None => Ok(self.extend(self.begin()?, run, genesis())?.end),
        }
    }

    /// The end of a log without a record.
    pub(super) fn begin(&self) -> Result<End, LogError> {
        Ok(End {
            length: 0,
            seq: 0,
            prev: [0; 32],
            log: Origin::random().map_err(self.during("name"))?,
        })
    }

    /// The end of a line that ends there, newline and all.
    fn parsed(&self, line: &[u8], length: u64) -> Result<End, LogError> {
        let record = Record::parse(line).map_err(|error| self.broken(&error.to_string()))?;
        let seq = record.seq.checked_add(1);
        Ok(End {
            length,
            seq: seq.ok_or_else(|| self.broken("no number follows its own"))?,
            prev: leaf(line),
            log: record.log,
        })
    }

    /// Whether what was written last is where it was.
    fn still_has(&self, Written { from, end }: &Written, length: u64) -> Result<bool, LogError> {
        if length < end.length {
            return Ok(false);
        }
        // Of a line that was written: it fits.
        let mut line = vec![0; usize::try_from(end.length - from).unwrap_or(0)];
        let read = self.file.read_exact_at(&mut line, *from);
        read.map_err(self.during("read"))?;
        Ok(line.strip_suffix(b"\n").map(leaf) == Some(end.prev))
    }

    /// The last bytes, where a line begins or enough for a newline, a line with
    /// its own, and what is torn.
    fn read_end(&self, line: u64, length: u64) -> Result<Vec<u8>, LogError> {
        let from = line.max(length.saturating_sub(2 * LINE_MAX as u64 + 2));
        // The difference is bounded.
        let mut end = vec![0; usize::try_from(length - from).unwrap_or(0)];
        let read = self.file.read_exact_at(&mut end, from);
        read.map_err(self.during("read"))?;
        Ok(end)
    }

    /// Writes the record that follows `end`, and gives its own. What has failed
    /// may have left a part.
    pub(super) fn write(&self, to: &File, end: End, run: &RunId, op: Op) -> Result<End, LogError> {
        let record = Record {
            log: end.log,
            op,
            prev: end.prev,
            run: run.clone(),
            schema: Schema,
            seq: end.seq,
            time: Time::now(),
        };
        let mut line = record.to_line();
        if line.len() > LINE_MAX {
            let (path, length) = (self.path.clone(), line.len());
            return Err(LogError::TooLong { path, length });
        }
        let prev = leaf(line.as_bytes());
        line.push('\n');
        to.write_all_at(line.as_bytes(), end.length)
            .map_err(self.during("write"))?;
        Ok(End {
            length: end.length + line.len() as u64,
            seq: end.seq + 1,
            prev,
            log: record.log,
        })
    }
}

pub(super) fn genesis() -> Op {
    Op::Genesis {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
