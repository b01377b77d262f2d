//! Output that never blocks its callers: one thread per stream writes the lines of a
//! bounded queue, and draws rows below them on a terminal.
//!
//! The cursor is parked at the start of the first row, and every write erases from there.
//! Whatever else writes to the terminal (`| cat`, an echoed `^C`) therefore overwrites
//! rows and is kept; rows of an earlier size of the terminal are erased as well.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::file::write_all;
use super::rows::{ERASE, Rows, frame};
use super::{CancelToken, best_effort};
use crate::units::Count;

/// Bytes in the queue from which on lines of progress are dropped: a reader that is slow
/// only for a moment misses nothing.
pub const MAX_PROGRESS_QUEUE: usize = 4 << 20;

/// Bytes in the queue from which on messages are dropped, and results wait.
pub const MAX_QUEUE: usize = 16 << 20;

/// Maximum size of a write of several lines: up to `PIPE_BUF` a pipe takes all or nothing,
/// so that a reader gets whole lines.
const MAX_WRITE: usize = 4096;

/// How often rows are redrawn and waits look at the cancellation token.
const TICK: Duration = Duration::from_millis(100);

/// How long lines wait for others that fit into the same write.
const LINGER: Duration = Duration::from_millis(2);

/// How long a cancelled run waits for its readers: far longer than one that reads needs.
const CANCELLED_FLUSH: Duration = Duration::from_millis(300);

/// How long the end of a run waits for a reader that takes nothing, if it owes it messages
/// only. Results are waited for until the run is cancelled.
const STALLED_FLUSH: Duration = Duration::from_secs(5);

/// What becomes of a line whose reader stalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Dropped first.
    Progress,
    /// Dropped where the queue is full.
    Message,
    /// Waited for, until the run is cancelled.
    Result,
}

/// Why not every result was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The system refused, or the reader is gone; and the number of results after that, until
    /// callers gave up.
    #[error("{0}; lost at least {lost}", lost = Count(*.1, "result"))]
    Io(io::Error, usize),
    /// The run was cancelled while the reader stalled.
    #[error("nothing was read for too long; lost {lost}", lost = Count(*.0, "result"))]
    Stalled(usize),
}

/// A result that is not written; [`LineWriter::flush`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWritten;

/// Writes lines to a stream. A clone writes to the same queue.
#[derive(Clone)]
pub struct LineWriter {
    shared: Arc<Shared>,
}

struct Shared {
    fd: BorrowedFd<'static>,
    state: Mutex<State>,
    changed: Condvar,
    cancel: OnceLock<Arc<CancelToken>>,
    /// Whether there is a thread that writes. It is started with the first line.
    thread: OnceLock<bool>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Priority, Vec<u8>)>,
    bytes: usize,
    /// When the first line of the queue came.
    queued_at: Option<Instant>,
    /// Whether a caller waits until everything is written.
    flushing: bool,
    /// Number of results in the write in progress, if there is one.
    writing: Option<usize>,
    rows: Option<Arc<dyn Rows>>,
    /// Whether rows are on the terminal.
    drawn: bool,
    /// Whether rows are still to be erased.
    erase: bool,
    dropped: usize,
    lost_results: usize,
    /// Set by the first error: nothing more is written.
    failed: bool,
    /// The first error, until it is returned.
    error: Option<io::Error>,
    last_write: Option<Instant>,
}

impl LineWriter {
    /// A writer to `fd`.
    #[must_use]
    pub fn new(fd: BorrowedFd<'static>) -> Self {
        let shared = Arc::new(Shared {
            fd,
            state: Mutex::default(),
            changed: Condvar::new(),
            cancel: OnceLock::new(),
            thread: OnceLock::new(),
        });
        Self { shared }
    }

    /// Starts the thread. Where the system has no more, callers write for themselves.
    fn has_thread(&self) -> bool {
        *self.shared.thread.get_or_init(|| {
            let writer = Arc::clone(&self.shared);
            let spawned = std::thread::Builder::new().spawn(move || writer.run());
            spawned.is_ok()
        })
    }

    /// The token that ends waits for the reader. The first one counts.
    pub fn cancel_with(&self, cancel: &Arc<CancelToken>) {
        best_effort(self.shared.cancel.set(Arc::clone(cancel)));
    }

    /// Queues a line, with its line end.
    ///
    /// # Errors
    /// For a result, once a write has failed.
    pub fn push(&self, priority: Priority, line: Vec<u8>) -> Result<(), NotWritten> {
        let (shared, is_result) = (&self.shared, priority == Priority::Result);
        let mut state = shared.lock();
        while is_result && state.bytes > MAX_QUEUE && !state.failed {
            if shared.is_cancelled() {
                state.lost_results += 1;
                return Ok(());
            }
            state = shared.wait(state, TICK);
        }
        let max = match priority {
            Priority::Progress => MAX_PROGRESS_QUEUE,
            Priority::Message => MAX_QUEUE,
            Priority::Result => usize::MAX,
        };
        if state.failed {
            state.lost_results += usize::from(is_result);
            return if is_result { Err(NotWritten) } else { Ok(()) };
        }
        if state.bytes > max {
            state.dropped += 1;
            return Ok(());
        }
        let (is_first, was_full) = (state.queue.is_empty(), state.is_full());
        if is_first {
            state.queued_at = Some(Instant::now());
        }
        state.bytes += line.len();
        state.queue.push_back((priority, line));
        let is_full = state.is_full();
        drop(state);
        if !self.has_thread() {
            while shared.write_next() {}
        } else if is_first || (is_full && !was_full) {
            // The lines between these don't wake the thread.
            shared.changed.notify_all();
        }
        Ok(())
    }

    /// Draws rows from now on.
    pub fn show(&self, rows: Arc<dyn Rows>) {
        self.shared.lock().rows = Some(rows);
        if self.has_thread() {
            self.shared.changed.notify_all();
        }
    }

    /// Erases the rows.
    pub fn hide(&self) {
        let mut state = self.shared.lock();
        state.rows = None;
        state.erase = state.drawn;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// How many lines of progress and messages were dropped.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.shared.lock().dropped
    }

    /// Waits until everything is written, with the limits of a stalled reader.
    ///
    /// # Errors
    /// Why not every result was written.
    pub fn flush(&self) -> Result<(), WriteError> {
        let (shared, started) = (&self.shared, Instant::now());
        let mut cancelled = None;
        let mut state = shared.lock();
        state.flushing = true;
        shared.changed.notify_all();
        while !state.is_idle() && !state.failed {
            let owed = state.results_owed();
            let quiet = state.last_write.map_or(started, |at| at.max(started));
            if owed == 0 && quiet.elapsed() > STALLED_FLUSH {
                break;
            }
            if shared.is_cancelled()
                && cancelled.get_or_insert_with(Instant::now).elapsed() > CANCELLED_FLUSH
            {
                break;
            }
            state = shared.wait(state, TICK / 4);
        }
        state.flushing = false;
        let results = state.lost_results + state.results_owed();
        if results == 0 {
            return Ok(());
        }
        match state.error.take() {
            Some(error) => Err(WriteError::Io(error, results)),
            // It was returned before.
            None if state.failed => Ok(()),
            None => Err(WriteError::Stalled(results)),
        }
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.writing.is_none() && !self.erase
    }

    /// Whether the queue fills a write.
    const fn is_full(&self) -> bool {
        self.bytes >= MAX_WRITE
    }

    /// How long to wait for more lines.
    fn linger(&self) -> Duration {
        let waits = !self.queue.is_empty() && !self.is_full() && !self.flushing;
        let since = self.queued_at.filter(|_| waits);
        since.map_or(Duration::ZERO, |at| LINGER.saturating_sub(at.elapsed()))
    }

    fn results_owed(&self) -> usize {
        let queued = self.queue.iter();
        let queued = queued.filter(|(priority, _)| *priority == Priority::Result);
        queued.count() + self.writing.unwrap_or(0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&'s self, state: MutexGuard<'s, State>, time: Duration) -> MutexGuard<'s, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn is_cancelled(&self) -> bool {
        let cancel = self.cancel.get();
        cancel.is_some_and(|cancel| cancel.cancelled().is_some())
    }

    fn run(&self) {
        loop {
            let mut state = self.lock();
            while state.queue.is_empty() && !state.erase && state.rows.is_none() {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let is_tick = state.queue.is_empty() && !state.erase;
            let due = state.last_write.filter(|_| is_tick);
            let left = due.map_or(Duration::ZERO, |at| TICK.saturating_sub(at.elapsed()));
            let left = left.max(state.linger());
            if !left.is_zero() {
                drop(self.wait(state, left));
                continue;
            }
            drop(state);
            self.write_next();
        }
    }

    /// Writes the next lines and the rows; returns whether there was something to write.
    fn write_next(&self) -> bool {
        let mut state = self.lock();
        let (mut bytes, mut results) = (Vec::new(), 0);
        if state.drawn {
            bytes.extend_from_slice(ERASE);
        }
        let mut lines = 0;
        while let Some((_, line)) = state.queue.front()
            && (lines == 0 || bytes.len() + line.len() <= MAX_WRITE)
            && let Some((priority, line)) = state.queue.pop_front()
        {
            lines += 1;
            results += usize::from(priority == Priority::Result);
            state.bytes -= line.len();
            bytes.extend_from_slice(&line);
        }
        state.erase = false;
        let rows = state.rows.clone().filter(|_| state.queue.is_empty());
        state.drawn = rows.is_some();
        state.writing = Some(results);
        let was_failed = state.failed;
        drop(state);
        if let Some(rows) = rows {
            bytes.extend(frame(self.fd, &*rows));
        }
        let written = match was_failed {
            true => Ok(()),
            false => write_all(self.fd, &bytes),
        };
        let mut state = self.lock();
        state.writing = None;
        state.last_write = Some(Instant::now());
        if let Err(error) = written {
            state.failed = true;
            state.rows = None;
            state.drawn = false;
            state.lost_results += results;
            state.lost_results += state.results_owed();
            state.queue.clear();
            state.error = Some(error);
        }
        drop(state);
        self.changed.notify_all();
        lines > 0
    }
}
