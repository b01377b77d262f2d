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
    /// Whether the last line lacks its newline, which precedes the next record's line then.
    pub(super) lacks_newline: bool,
    /// Sequence number of the next record.
    pub(super) seq: u64,
    /// Leaf hash of the last line.
    pub(super) prev: NodeHash,
    pub(super) log: LogId,
    /// Where it continues: nothing more is appended.
    pub(super) rotation: Option<Rotation>,
}

impl LogEnd {
    /// The end of a log without lines.
    pub(super) const fn empty(log: LogId) -> Self {
        Self {
            length: 0,
            lacks_newline: false,
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
        run: RunId,
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
            run,
            schema: Schema,
            seq: end.seq,
            time,
        };
        let line = record.to_line();
        if line.len() > MAX_RECORD_LEN {
            let (path, length) = (self.path.clone(), line.len());
            return Err(LogError::TooLong { path, length });
        }
        let before = if end.lacks_newline { "\n" } else { "" };
        let text = format!("{before}{line}\n");
        let written = self.write(&text).context("write", &self.path)?;
        let from = end.length + before.len() as u64;
        let end = LogEnd {
            length: end.length + written as u64,
            lacks_newline: written < text.len(),
            seq: end.seq + 1,
            prev: leaf_hash(line.as_bytes()),
            ..LogEnd::empty(record.log)
        };
        Ok(Appended { from, end })
    }

    /// Writes to the end of the file, which O_APPEND finds, and returns how much. A line that
    /// lacks nothing but its newline is a record: its next reader would find it there.
    fn write(&self, text: &str) -> io::Result<usize> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match (&self.file).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if rest == b"\n" => break,
                Err(error) => return Err(error),
            }
        }
        Ok(text.len() - rest.len())
    }
}

/// The first record of a log, which may continue another one.
pub(super) fn genesis(previous: Option<PreviousLog>) -> Entry {
    Entry::Genesis {
        previous,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
