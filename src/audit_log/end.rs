//! The end of a log: what the next record follows.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use skopeo_index_core::audit::{
    Entry, LogId, MAX_RECORD_LEN, NodeHash, PreviousLog, Record, Rotation, RunId, Schema,
    Timestamp, leaf_hash,
};

use super::{LogError, file::LogFile};
use crate::os::PathContext;

/// A record that this process wrote.
#[derive(Debug)]
pub(super) struct Appended {
    /// Offset of its line.
    pub(super) from: u64,
    /// Its end.
    pub(super) end: LogEnd,
}

/// The end of a log.
#[derive(Clone, Debug)]
pub(super) struct LogEnd {
    /// Length of the file. A longer one has records of other processes.
    pub(super) length: u64,
    /// Whether the last line has its newline.
    pub(super) newline: Newline,
    /// Sequence number of the next record.
    pub(super) seq: u64,
    /// Leaf hash of the last line.
    pub(super) prev: NodeHash,
    pub(super) log: LogId,
    /// Where it continues: nothing more is appended.
    pub(super) rotation: Option<Rotation>,
}

/// Whether a line has its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newline {
    Written,
    /// The next record's line is preceded by it.
    Missing,
}

impl LogEnd {
    /// The end of a log without lines.
    pub(super) const fn empty(log: LogId) -> Self {
        Self {
            length: 0,
            newline: Newline::Written,
            seq: 0,
            prev: [0; 32],
            log,
            rotation: None,
        }
    }
}

impl LogFile {
    /// Whether the record that was written last is still at its offset.
    pub(super) fn still_has(
        &self,
        Appended { from, end }: &Appended,
        length: u64,
    ) -> Result<bool, LogError> {
        if length < end.length {
            return Ok(false);
        }
        // At most a record's length, since it was written.
        let mut line = vec![0; usize::try_from(end.length - from).unwrap_or(0)];
        let read = self.file.read_exact_at(&mut line, *from);
        read.context("read", &self.path)?;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Ok(leaf_hash(line) == end.prev)
    }

    /// Appends the record that follows `end`. A failure may leave a part of its line, which
    /// the next record names as torn.
    pub(super) fn extend(
        &self,
        end: LogEnd,
        run: &RunId,
        entry: Entry,
    ) -> Result<Appended, LogError> {
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
        let line = record.to_line();
        if line.len() > MAX_RECORD_LEN {
            let (path, length) = (self.path.clone(), line.len());
            return Err(LogError::TooLong { path, length });
        }
        let before = match end.newline {
            Newline::Written => "",
            Newline::Missing => "\n",
        };
        let text = format!("{before}{line}\n");
        let newline = self.write(text.as_bytes()).context("write", &self.path)?;
        let written = match newline {
            Newline::Written => text.len(),
            Newline::Missing => text.len() - 1,
        };
        let end_of_line = LogEnd {
            length: end.length + written as u64,
            newline,
            seq: end.seq + 1,
            prev: leaf_hash(line.as_bytes()),
            log: record.log,
            rotation: None,
        };
        Ok(Appended {
            from: end.length + before.len() as u64,
            end: end_of_line,
        })
    }

    /// Writes to the end of the file, which O_APPEND finds. A line that lacks nothing but its
    /// newline is a record: its next reader would find it there.
    fn write(&self, mut text: &[u8]) -> io::Result<Newline> {
        while !text.is_empty() {
            match (&self.file).write(text) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => text = &text[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if text == b"\n" => return Ok(Newline::Missing),
                Err(error) => return Err(error),
            }
        }
        Ok(Newline::Written)
    }
}

/// The first record of a log, which may continue another one.
pub(super) fn genesis(previous: Option<PreviousLog>) -> Entry {
    Entry::Genesis {
        previous,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
