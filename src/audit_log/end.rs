//! The end of a log: what the next record follows.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use skopeo_index_core::audit::{
    Entry, LogId, MAX_RECORD_LEN, NodeHash, Record, RunId, Schema, Timestamp, leaf_hash,
};

use super::writer::LOCK_TIMEOUT;
use super::{LogError, LogWriter};
use crate::os::{LockTimeout, random_bytes};

/// What a writer knows of its log.
#[derive(Debug)]
pub(super) struct WriterState {
    /// The record that it wrote last; `None` before the first.
    pub(super) last: Option<Appended>,
    /// How long it waits for the lock.
    pub(super) lock_timeout: LockTimeout,
}

impl Default for WriterState {
    fn default() -> Self {
        Self {
            last: None,
            lock_timeout: LOCK_TIMEOUT,
        }
    }
}

/// A record that this process wrote.
#[derive(Debug)]
pub(super) struct Appended {
    /// Offset of its line.
    pub(super) from: u64,
    /// Its end.
    pub(super) end: LogEnd,
}

/// The end of a log's last record.
#[derive(Clone, Debug)]
pub(super) struct LogEnd {
    /// Offset of the end. A longer file has records of other processes.
    pub(super) length: u64,
    /// Sequence number of the next record.
    seq: u64,
    /// Leaf hash of the last record.
    prev: NodeHash,
    pub(super) log: LogId,
}

impl LogWriter<'_> {
    /// Reads what other processes have appended.
    pub(super) fn catch_up(
        &self,
        known: Option<&Appended>,
        length: u64,
        run: &RunId,
    ) -> Result<LogEnd, LogError> {
        let truncated = || LogError::Truncated(self.path.clone());
        if let Some(known) = known
            && !self.still_has(known, length)?
        {
            return Err(truncated());
        }
        let end = self.read_end(known.map_or(0, |known| known.from), length)?;
        let newline = end.iter().rposition(|byte| *byte == b'\n');
        let (lines, torn) = end.split_at(newline.map_or(0, |at| at + 1));
        if torn.len() > MAX_RECORD_LEN {
            return Err(self.broken("no newline"));
        }
        let found = match lines.strip_suffix(b"\n") {
            None => None,
            Some(lines) => {
                let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or(lines);
                Some(self.parse_last(last, length - torn.len() as u64)?)
            }
        };
        if let (Some(found), Some(required)) = (&found, &self.required_origin)
            && found.log != *required
        {
            return Err(LogError::OtherOrigin {
                path: self.path.clone(),
                origin: found.log.clone(),
            });
        }
        let continues = |known: &Appended| {
            let (found, known) = (found.as_ref(), &known.end);
            found.is_some_and(|found| found.log == known.log && found.seq >= known.seq)
        };
        if !known.is_none_or(continues) {
            return Err(truncated());
        }
        match found {
            found if !torn.is_empty() => self.recover(found, torn, run),
            Some(found) => Ok(found),
            None => Ok(self.extend(self.empty_log()?, run, genesis())?.end),
        }
    }

    /// The end of a log without a record.
    pub(super) fn empty_log(&self) -> Result<LogEnd, LogError> {
        let random = || random_bytes().map(LogId::from_random);
        let log = match &self.required_origin {
            Some(origin) => origin.clone(),
            None => random().map_err(self.context("name"))?,
        };
        Ok(LogEnd {
            length: 0,
            seq: 0,
            prev: [0; 32],
            log,
        })
    }

    /// The end of the record whose line, newline included, ends at `length`.
    fn parse_last(&self, line: &[u8], length: u64) -> Result<LogEnd, LogError> {
        let record = Record::parse(line).map_err(|error| self.broken(&error.to_string()))?;
        let seq = record.seq.checked_add(1);
        Ok(LogEnd {
            length,
            seq: seq.ok_or_else(|| self.broken("no sequence number follows"))?,
            prev: leaf_hash(line),
            log: record.log,
        })
    }

    /// Whether the record that was written last is still at its offset.
    fn still_has(&self, Appended { from, end }: &Appended, length: u64) -> Result<bool, LogError> {
        if length < end.length {
            return Ok(false);
        }
        // At most a record's length, since it was written.
        let mut line = vec![0; usize::try_from(end.length - from).unwrap_or(0)];
        let read = self.file.read_exact_at(&mut line, *from);
        read.map_err(self.context("read"))?;
        Ok(line.strip_suffix(b"\n").map(leaf_hash) == Some(end.prev))
    }

    /// Reads the end of the log: enough for one complete line and a torn one after it,
    /// and nothing before `start`.
    fn read_end(&self, start: u64, length: u64) -> Result<Vec<u8>, LogError> {
        let from = start.max(length.saturating_sub(2 * MAX_RECORD_LEN as u64 + 2));
        // Bounded by the line above.
        let mut end = vec![0; usize::try_from(length - from).unwrap_or(0)];
        let read = self.file.read_exact_at(&mut end, from);
        read.map_err(self.context("read"))?;
        Ok(end)
    }

    /// Writes the record that follows `end`, and returns its own end. A failure may leave
    /// a part of the line.
    pub(super) fn write(
        &self,
        to: &File,
        end: LogEnd,
        run: &RunId,
        entry: Entry,
    ) -> Result<LogEnd, LogError> {
        let time = Timestamp::from(SystemTime::now());
        if !time.is_plausible() {
            return Err(LogError::Clock(time));
        }
        let record = Record {
            entry,
            log: end.log,
            prev: end.prev,
            run: run.clone(),
            schema: Schema,
            seq: end.seq,
            time,
        };
        let mut line = record.to_line();
        if line.len() > MAX_RECORD_LEN {
            let (path, length) = (self.path.clone(), line.len());
            return Err(LogError::TooLong { path, length });
        }
        let prev = leaf_hash(line.as_bytes());
        line.push('\n');
        to.write_all_at(line.as_bytes(), end.length)
            .map_err(self.context("write"))?;
        Ok(LogEnd {
            length: end.length + line.len() as u64,
            seq: end.seq + 1,
            prev,
            log: record.log,
        })
    }
}

pub(super) fn genesis() -> Entry {
    Entry::Genesis {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
