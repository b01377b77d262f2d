//! A log's lines, read in bounded memory.

use std::io::{self, BufRead, Read};

use sha2::Digest as _;

use super::merkle::{NodeHash, leaf_hasher};

/// The longest line, without its newline: far beyond any record, whose texts are
/// bounded. No longer one is written, and what is torn is never longer.
pub const MAX_RECORD_LEN: usize = 1 << 20;

/// A part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLine<'l> {
    /// A line without its newline.
    Line(&'l [u8]),
    /// The leaf of a line that is longer than any record.
    TooLong(NodeHash),
    /// What is behind the last newline.
    Torn(&'l [u8]),
}

/// Reads a log, a piece at a time.
#[derive(Debug)]
pub struct LineReader<R> {
    from: R,
    line: Vec<u8>,
}

impl<R: BufRead> LineReader<R> {
    /// Begins where the reader is.
    #[must_use]
    pub const fn new(from: R) -> Self {
        let line = Vec::new();
        Self { from, line }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Those of reading.
    #[allow(clippy::should_implement_trait, reason = "it lends what it has read")]
    pub fn next(&mut self) -> io::Result<Option<LogLine<'_>>> {
        self.line.clear();
        let mut bounded = (&mut self.from).take(MAX_RECORD_LEN as u64 + 1);
        bounded.read_until(b'\n', &mut self.line)?;
        Ok(match self.line.strip_suffix(b"\n") {
            Some(line) => Some(LogLine::Line(line)),
            None if self.line.is_empty() => None,
            None if self.line.len() <= MAX_RECORD_LEN => Some(LogLine::Torn(&self.line)),
            None => Some(LogLine::TooLong(rest(&mut self.from, &self.line)?)),
        })
    }
}

/// The leaf of a line of which that much was read.
fn rest(from: &mut impl BufRead, begun: &[u8]) -> io::Result<NodeHash> {
    let mut sha = leaf_hasher(begun);
    loop {
        let more = from.fill_buf()?;
        let end = more.iter().position(|byte| *byte == b'\n');
        sha.update(&more[..end.unwrap_or(more.len())]);
        let (read, is_last) = (
            end.map_or(more.len(), |end| end + 1),
            end.is_some() || more.is_empty(),
        );
        from.consume(read);
        if is_last {
            return Ok(sha.finalize().into());
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;
    use crate::audit::leaf_hash;

    #[test]
    fn a_line_of_any_length_is_a_piece_and_so_is_what_has_no_end() {
        let longest = vec![b'x'; MAX_RECORD_LEN];
        let long = [&longest[..], b"yz"].concat();
        let log = [&b"\na\n"[..], &longest, b"\n", &long, b"\nb\n", &longest].concat();
        let mut seen = Vec::new();
        let mut lines = LineReader::new(io::BufReader::with_capacity(7, &log[..]));
        while let Some(piece) = lines.next().expect("memory can be read") {
            seen.push(match piece {
                LogLine::Line(line) => (0, leaf_hash(line)),
                LogLine::TooLong(hash) => (1, hash),
                LogLine::Torn(torn) => (2, leaf_hash(torn)),
            });
        }
        let expected = [
            (0, leaf_hash(b"")),
            (0, leaf_hash(b"a")),
            (0, leaf_hash(&longest)),
            (1, leaf_hash(&long)),
            (0, leaf_hash(b"b")),
            (2, leaf_hash(&longest)),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_has_no_end_and_is_too_long_is_no_torn_line() {
        let log = vec![b'x'; MAX_RECORD_LEN + 1];
        let mut lines = LineReader::new(&log[..]);
        let mut next = || {
            lines
                .next()
                .expect("memory can be read")
                .map(|piece| format!("{piece:?}"))
        };
        let too_long = format!("{:?}", LogLine::TooLong(leaf_hash(&log)));
        assert_eq!((next(), next()), (Some(too_long), None));
    }
}
