//! Reads a log's lines in bounded memory, and parses them.

use std::io::{self, BufRead, Read};

use sha2::{Digest as _, Sha256};

use super::content_rules::{ClassificationHash, classification_hash};
use super::merkle::{NodeHash, leaf_hash, leaf_hasher};
use super::record::{Entry, Record, RecordError, TornLine, is_complete};
use crate::digest::Digest;

/// Maximum length of a line in bytes, without its newline: that of an entry in a tile
/// (c2sp.org/tlog-tiles), whose length has 16 bits. Records have bounded texts and stay far
/// below it.
pub const MAX_RECORD_LEN: usize = u16::MAX as usize;

/// A line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLine<'l> {
    /// A line, without its newline.
    Line(&'l [u8]),
    /// A line of more than [`MAX_RECORD_LEN`] bytes.
    TooLong(LongLine),
    /// The torn line: the bytes after the last newline.
    Torn(&'l [u8]),
    /// A torn line of more than [`MAX_RECORD_LEN`] bytes.
    TornTooLong(LongLine),
}

/// What is kept of a line that is too long for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongLine {
    /// Its leaf hash.
    pub leaf_hash: NodeHash,
    /// Its length and SHA-256.
    pub torn: TornLine,
}

/// Reads a log line by line.
#[derive(Debug)]
pub struct LineReader<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: BufRead> LineReader<R> {
    /// Starts where the reader is.
    #[must_use]
    pub const fn new(reader: R) -> Self {
        let line = Vec::new();
        Self { reader, line }
    }

    /// Reads the next line; `None` at the end.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn next_line(&mut self) -> io::Result<Option<LogLine<'_>>> {
        self.line.clear();
        let mut bounded = (&mut self.reader).take(MAX_RECORD_LEN as u64 + 1);
        bounded.read_until(b'\n', &mut self.line)?;
        Ok(match self.line.strip_suffix(b"\n") {
            Some(line) => Some(LogLine::Line(line)),
            None if self.line.is_empty() => None,
            None if self.line.len() <= MAX_RECORD_LEN => Some(LogLine::Torn(&self.line)),
            None => Some(hash_rest(&mut self.reader, self.line.clone())?),
        })
    }
}

/// Hashes a line whose first piece was read, and reads the rest of it.
fn hash_rest(reader: &mut impl BufRead, mut piece: Vec<u8>) -> io::Result<LogLine<'static>> {
    let (mut leaf, mut sha256, mut bytes) = (leaf_hasher(), Sha256::new(), 0);
    loop {
        let line = piece.strip_suffix(b"\n").unwrap_or(&piece);
        leaf.update(line);
        sha256.update(line);
        bytes += line.len() as u64;
        let has_newline = line.len() < piece.len();
        if has_newline || piece.is_empty() {
            let sha256 = Digest::from_bytes(sha256.finalize().into());
            let long = LongLine {
                leaf_hash: leaf.finalize().into(),
                torn: TornLine { bytes, sha256 },
            };
            return Ok(match has_newline {
                true => LogLine::TooLong(long),
                false => LogLine::TornTooLong(long),
            });
        }
        piece.clear();
        let mut bounded = reader.take(MAX_RECORD_LEN as u64);
        bounded.read_until(b'\n', &mut piece)?;
    }
}

/// A parsed line of a log.
#[derive(Debug)]
pub struct ParsedLine {
    pub(super) leaf_hash: NodeHash,
    // Boxed, because there may be many lines that are not records.
    pub(super) record: Result<Box<Record>, Box<InvalidLine>>,
    /// Of the content in a transition's outcome.
    pub(super) classification: Option<ClassificationHash>,
}

/// A line that is not a record.
#[derive(Debug)]
pub(super) struct InvalidLine {
    pub(super) error: RecordError,
    /// How a record names it if it is torn; `None` if it has a trailer, and was changed.
    pub(super) torn: Option<TornLine>,
}

impl ParsedLine {
    /// Parses a line without its newline. Lines can be parsed in parallel.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let invalid = |error| {
            let torn = (!is_complete(line)).then(|| TornLine::of(line));
            Box::new(InvalidLine { error, torn })
        };
        let record = Record::parse(line).map(Box::new).map_err(invalid);
        let classification = record.as_ref().ok().and_then(|record| match &record.entry {
            Entry::Transition(transition) => classification_hash(&transition.event.outcome),
            _ => None,
        });
        Self {
            leaf_hash: leaf_hash(line),
            record,
            classification,
        }
    }

    /// A line that is too long for a record.
    #[must_use]
    pub fn too_long(line: &LongLine) -> Self {
        let (error, torn) = (RecordError::TooLong, Some(line.torn));
        Self {
            leaf_hash: line.leaf_hash,
            record: Err(Box::new(InvalidLine { error, torn })),
            classification: None,
        }
    }

    /// The line's leaf hash.
    #[must_use]
    pub const fn leaf_hash(&self) -> NodeHash {
        self.leaf_hash
    }

    /// The record, if the line is one.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref().ok()
    }
}
