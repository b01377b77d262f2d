//! Reads a log's lines in bounded memory.

use std::io::{self, BufRead, Read};

use sha2::Digest as _;

use super::merkle::{NodeHash, leaf_hasher};

/// Maximum length of a line in bytes, without its newline: that of an entry in a tile
/// (c2sp.org/tlog-tiles), whose length has 16 bits. Records have bounded texts and stay far
/// below it.
pub const MAX_RECORD_LEN: usize = u16::MAX as usize;

/// A line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLine<'l> {
    /// A line, without its newline.
    Line(&'l [u8]),
    /// The leaf hash of a line of more than [`MAX_RECORD_LEN`] bytes.
    TooLong(NodeHash),
    /// The torn line: the bytes after the last newline.
    Torn(&'l [u8]),
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
            None => Some(LogLine::TooLong(hash_rest(&mut self.reader, &self.line)?)),
        })
    }
}

/// The leaf hash of a line whose start was read; reads the rest of it.
fn hash_rest(reader: &mut impl BufRead, start: &[u8]) -> io::Result<NodeHash> {
    let mut hasher = leaf_hasher(start);
    loop {
        let bytes = reader.fill_buf()?;
        let newline = bytes.iter().position(|byte| *byte == b'\n');
        hasher.update(&bytes[..newline.unwrap_or(bytes.len())]);
        let is_last = newline.is_some() || bytes.is_empty();
        let read = newline.map_or(bytes.len(), |newline| newline + 1);
        reader.consume(read);
        if is_last {
            return Ok(hasher.finalize().into());
        }
    }
}
