//! Cancellation token that every blocking wait polls.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{fcntl_dupfd_cloexec, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use signal_hook::consts::{SIGINT, SIGTERM};
use skopeo_index_core::machine::CancelReason;

use super::best_effort;

/// How long after the first signal another one is a duplicate of it. timeout(1) sends its
/// signal to the process and to its group, microseconds apart, or milliseconds on a busy
/// machine. A second Ctrl-C of someone who saw no reaction to the first comes later.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(250);

/// Descriptors that a large run uses, and more.
const DESCRIPTORS: i32 = 1024;

/// Cancels every wait of a run. What waits polls a pipe that is never drained: once a byte
/// is in it, every poll of it returns at once. Before the byte, the reason is set, or the
/// flag of signals, so that nothing else needs a system call.
#[derive(Debug)]
pub struct CancelToken {
    reader: Arc<OwnedFd>,
    writer: OwnedFd,
    reason: OnceLock<CancelReason>,
    /// Set at the first signal.
    interrupted: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl CancelToken {
    /// A token that is cancelled at `deadline`, if any.
    ///
    /// # Errors
    /// Where the process has no descriptors left.
    pub fn new(deadline: Option<Instant>) -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self {
            reader: Arc::new(reader),
            writer,
            reason: OnceLock::new(),
            interrupted: Arc::default(),
            deadline,
        })
    }

    /// Cancels at SIGINT and SIGTERM as well. A second signal, unless it is a duplicate,
    /// ends the process at once, whatever it is doing.
    ///
    /// # Errors
    /// Where the handlers can't be installed.
    pub fn on_signals(&self) -> io::Result<()> {
        let is_armed = Arc::new(AtomicBool::new(false));
        // The kernel takes tens of milliseconds to make its table of descriptors larger, unless
        // there is only one thread.
        best_effort(fcntl_dupfd_cloexec(&self.reader, DESCRIPTORS - 1));
        // A thread of its own: no other has to run for the second signal to work. Without
        // threads, any second signal ends the process.
        let arms_later = self.arm_after_first_signal(Arc::clone(&is_armed));
        let is_armed = arms_later.map_or_else(|_| Arc::clone(&self.interrupted), |_| is_armed);
        for signal in [SIGINT, SIGTERM] {
            // The handler that reads the flag comes before the one that sets it.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&is_armed))?;
            signal_hook::flag::register(signal, Arc::clone(&self.interrupted))?;
            signal_hook::low_level::pipe::register(signal, self.writer.try_clone()?)?;
        }
        Ok(())
    }

    /// Sets the flag once a signal after the first one is not its duplicate.
    fn arm_after_first_signal(&self, is_armed: Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
        let (reader, interrupted) = (Arc::clone(&self.reader), Arc::clone(&self.interrupted));
        let arm = move || {
            let mut cancelled = [PollFd::new(&reader, PollFlags::IN)];
            best_effort(retry_on_intr(|| poll(&mut cancelled, None)));
            // Where it was cancelled in another way, the run is about to end.
            while !interrupted.load(Ordering::Acquire) {
                thread::sleep(DUPLICATE_WINDOW);
            }
            thread::sleep(DUPLICATE_WINDOW);
            is_armed.store(true, Ordering::Release);
        };
        thread::Builder::new().name("signals".to_owned()).spawn(arm)
    }

    /// Cancels. The first reason counts.
    pub fn cancel(&self, reason: CancelReason) {
        if self.reason.set(reason).is_ok() {
            // An empty pipe takes a byte, and a closed one has no readers.
            best_effort(rustix::io::write(&self.writer, &[1]));
        }
    }

    /// The reason, once cancelled.
    #[must_use]
    pub fn cancelled(&self) -> Option<CancelReason> {
        if let Some(reason) = self.reason.get() {
            return Some(*reason);
        }
        if self.interrupted.load(Ordering::Acquire) {
            return Some(CancelReason::Interrupted);
        }
        let deadline = self.deadline.filter(|at| *at <= Instant::now());
        deadline.map(|_| CancelReason::Deadline)
    }

    /// As [`Self::cancelled`], for `?`.
    ///
    /// # Errors
    /// The reason, once cancelled.
    pub fn check(&self) -> Result<(), CancelReason> {
        self.cancelled().map_or(Ok(()), Err)
    }

    /// Sleeps for `time`.
    ///
    /// # Errors
    /// The reason, as soon as it is cancelled.
    pub fn sleep(&self, time: Duration) -> Result<(), CancelReason> {
        let until = Instant::now() + time;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let left = self.time_left(left);
            let mut fds = [PollFd::new(&self.reader, PollFlags::IN)];
            // The loop checks again, also after EINTR.
            best_effort(poll(&mut fds, Some(&timespec(left))));
        }
    }

    /// `time`, or the time until the deadline, whichever is less.
    #[must_use]
    pub fn time_left(&self, time: Duration) -> Duration {
        self.deadline.map_or(time, |at| {
            time.min(at.saturating_duration_since(Instant::now()))
        })
    }
}

impl AsFd for CancelToken {
    /// A descriptor that is readable once the token is cancelled other than by its
    /// deadline.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Installs no-op handlers for signals. Unlike `SIG_IGN`, handlers are reset by exec, so
/// skopeo still reacts to these signals.
///
/// # Errors
/// Where the handlers can't be installed.
pub fn ignore_signals(signals: &[c_int]) -> io::Result<()> {
    for signal in signals {
        signal_hook::flag::register(*signal, Arc::default())?;
    }
    Ok(())
}

/// A duration for poll(2), rounded up to a millisecond so that a loop doesn't spin in
/// the last one, and cut to an hour.
#[must_use]
pub fn timespec(time: Duration) -> Timespec {
    let time = time.min(Duration::from_secs(3600)) + Duration::from_micros(999);
    // At most an hour: it fits.
    Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
