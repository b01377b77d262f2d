//! What other processes have appended, and what crashes have left.
//!
//! ```text
//!  … record\n half a rec
//!  … record\n half a rec\n recovered\n record\n     a `recovered` record names the torn line
//! ```
//!
//! Nothing is removed or written over. A recovery that is torn itself leaves one more torn
//! line; the next one names both.

use skopeo_index_core::audit::{
    Entry, LogId, LogLine, MAX_NEW_ORIGIN_LEN, MAX_TORN_LINES, NodeHash, Record, RunId, TornLine,
    is_complete, leaf_hash,
};

use super::end::{Appended, LogEnd, genesis};
use super::{LogError, file::LogFile};
use crate::os::{PathContext, random_bytes};

/// How much of a log's end is read at first: many records. Where none of it is one, four
/// times as much is read, and so on.
const FIRST_WINDOW: u64 = 64 << 10;

/// The lines at the end of a log.
#[derive(Default)]
struct Tail {
    /// What follows the last record, if there is one.
    last: Option<LogEnd>,
    /// The lines behind it, which are torn.
    torn: Vec<TornLine>,
    /// The leaf hash of the last of them.
    torn_leaf: NodeHash,
    /// Whether the last line lacks its newline.
    lacks_newline: bool,
    /// Whether the first of them may be the start of a log's first record.
    is_log: bool,
    /// Why a line behind the last record is neither a record nor torn.
    broken: Option<String>,
}

impl LogFile {
    /// Reads what other processes have appended, and names torn lines.
    pub(super) fn catch_up(
        &self,
        known: Option<&Appended>,
        length: u64,
        run: RunId,
        required_origin: Option<&LogId>,
    ) -> Result<LogEnd, LogError> {
        let truncated = || LogError::Truncated(self.path.clone());
        if let Some(known) = known
            && !self.still_has(known, length)?
        {
            return Err(truncated());
        }
        let tail = self.read_tail(known.map_or(0, |known| known.from), length)?;
        if let Some(reason) = tail.broken {
            return Err(self.broken(&reason));
        }
        if let (Some(found), Some(required)) = (&tail.last, required_origin)
            && !found.log.is_of_origin(required)
        {
            return Err(LogError::OtherOrigin {
                path: self.path.clone(),
                origin: found.log.clone(),
            });
        }
        let continues = |known: &Appended| {
            let (found, known) = (tail.last.as_ref(), &known.end);
            found.is_some_and(|found| found.log == known.log && found.seq >= known.seq)
        };
        if !known.is_none_or(continues) {
            return Err(truncated());
        }
        let is_new = tail.last.is_none();
        let mut end = match (tail.last, required_origin) {
            (Some(last), _) => last,
            (None, Some(origin)) if origin.as_str().len() > MAX_NEW_ORIGIN_LEN => {
                return Err(LogError::LongOrigin {
                    path: self.path.clone(),
                    length: origin.as_str().len(),
                });
            }
            (None, Some(origin)) => LogEnd::empty(origin.clone()),
            (None, None) => {
                let id = random_bytes().context("name", &self.path)?;
                LogEnd::empty(LogId::from_random(id))
            }
        };
        (end.length, end.lacks_newline) = (length, tail.lacks_newline);
        if end.rotation.is_some() {
            return Ok(end);
        }
        if !tail.torn.is_empty() {
            if is_new && !tail.is_log {
                return Err(self.broken("the file is not a log"));
            }
            if tail.torn.len() > MAX_TORN_LINES {
                return Err(self.broken("too many torn lines"));
            }
            end.seq += tail.torn.len() as u64;
            end.prev = tail.torn_leaf;
            let lines = tail.torn;
            end = self.extend(end, run, Entry::Recovered { lines })?.end;
        }
        if is_new {
            end = self.extend(end, run, genesis(None))?.end;
        }
        Ok(end)
    }

    /// Reads the lines at the end, not before `start`: enough to have a record.
    fn read_tail(&self, start: u64, length: u64) -> Result<Tail, LogError> {
        let mut window = FIRST_WINDOW;
        loop {
            let from = start.max(length.saturating_sub(window));
            let tail = self.read_lines(from, length, from == start)?;
            if tail.last.is_some() || from == start {
                return Ok(tail);
            }
            window = window.saturating_mul(4);
        }
    }

    /// Reads the lines between two offsets. The first one is skipped unless it is whole.
    fn read_lines(&self, from: u64, to: u64, is_whole: bool) -> Result<Tail, LogError> {
        let mut tail = Tail::default();
        let mut lines = self.lines(from, to);
        if !is_whole {
            lines.next_line().context("read", &self.path)?;
        }
        while let Some(line) = lines.next_line().context("read", &self.path)? {
            let lacks_newline = matches!(line, LogLine::Torn(_) | LogLine::TornTooLong(_));
            match line {
                LogLine::Line(line) | LogLine::Torn(line) => match Record::parse(line) {
                    Ok(record) => {
                        let seq = record.seq.checked_add(1);
                        let end = LogEnd {
                            seq: seq.ok_or_else(|| self.broken("no sequence number follows"))?,
                            prev: leaf_hash(line),
                            rotation: match record.entry {
                                Entry::Rotated(rotation) => Some(rotation),
                                _ => None,
                            },
                            ..LogEnd::empty(record.log)
                        };
                        tail = Tail {
                            last: Some(end),
                            ..Tail::default()
                        };
                    }
                    Err(error) => {
                        if is_complete(line) {
                            tail.broken.get_or_insert_with(|| error.to_string());
                        }
                        tail.is_log |= tail.torn.is_empty() && is_log_start(line);
                        tail.push(TornLine::of(line), leaf_hash(line));
                    }
                },
                LogLine::TooLong(long) | LogLine::TornTooLong(long) => {
                    tail.push(long.torn, long.leaf_hash);
                }
            }
            tail.lacks_newline = lacks_newline;
        }
        Ok(tail)
    }
}

impl Tail {
    fn push(&mut self, torn: TornLine, leaf: NodeHash) {
        self.torn_leaf = leaf;
        // One more than are named shows that there are too many.
        if self.torn.len() <= MAX_TORN_LINES {
            self.torn.push(torn);
        }
    }
}

/// How a log's first record begins.
pub(super) const LOG_START: &[u8] = b"{\"entry\":{";

/// Whether a torn line may be the start of a record, or what a power failure left of one.
/// Another kind of file is not appended to.
pub(super) fn is_log_start(line: &[u8]) -> bool {
    let is_lost = line.iter().all(|byte| *byte == 0);
    line.starts_with(LOG_START) || LOG_START.starts_with(line) || is_lost
}
