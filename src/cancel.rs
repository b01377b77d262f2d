//! Being told to stop: one flag that every wait can poll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::machine::Stop;

/// Tells every wait of a run to end. A pipe that nobody drains: once a byte is
/// in it, every poll of it returns, now and later.
#[derive(Debug)]
pub struct Cancel {
    reader: OwnedFd,
    writer: OwnedFd,
    why: OnceLock<Stop>,
    deadline: Option<Instant>,
}

impl Cancel {
    /// One that stops at `deadline`, if any, or when it is told to.
    ///
    /// # Errors
    /// Where the system has no descriptors left.
    pub fn new(deadline: Option<Instant>) -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self {
            reader,
            writer,
            why: OnceLock::new(),
            deadline,
        })
    }

    /// Stops at SIGINT and SIGTERM as well. The second SIGINT ends the process
    /// at once, for whoever can't wait.
    ///
    /// # Errors
    /// Where the handlers can't be set.
    pub fn on_signals(&self) -> io::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            let stopped = std::sync::Arc::default();
            // First the handler that looks at the flag, then the one that sets it.
            signal_hook::flag::register_conditional_default(
                signal,
                std::sync::Arc::clone(&stopped),
            )?;
            signal_hook::flag::register(signal, stopped)?;
            signal_hook::low_level::pipe::register(signal, self.writer.try_clone()?)?;
        }
        Ok(())
    }

    /// Tells every wait to end. The first reason counts.
    pub fn stop(&self, why: Stop) {
        if self.why.set(why).is_ok() {
            // The pipe can't be full of one byte, and a closed one has no waiters.
            let _already_told = rustix::io::write(&self.writer, &[1]);
        }
    }

    /// Why to stop, if told to.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        self.wait(Duration::ZERO)
    }

    /// Waits for `time`, or until told to stop: then says why.
    #[must_use]
    pub fn wait(&self, time: Duration) -> Option<Stop> {
        let until = Instant::now() + time;
        loop {
            if self.told() {
                return Some(*self.why.get().unwrap_or(&Stop::Interrupted));
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return Some(Stop::Deadline);
            }
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return None;
            }
            let left = self.time_left(left);
            let mut fds = [PollFd::new(&self.reader, PollFlags::IN)];
            // EINTR and the like: the loop looks again.
            let _looked_at_above = poll(&mut fds, Some(&timespec(left)));
        }
    }

    /// `time`, or what is left until the deadline, whichever is less.
    #[must_use]
    pub fn time_left(&self, time: Duration) -> Duration {
        self.deadline.map_or(time, |at| {
            time.min(at.saturating_duration_since(Instant::now()))
        })
    }

    fn told(&self) -> bool {
        let mut fds = [PollFd::new(&self.reader, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
    }
}

impl AsFd for Cancel {
    /// A descriptor that becomes readable when told to stop, and stays so.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Lets SIGINT and SIGTERM do nothing. Handlers that do nothing, unlike signals
/// that are ignored, aren't inherited by children.
///
/// # Errors
/// Where the handlers can't be set.
pub fn outlive_signals() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, std::sync::Arc::default())?;
    }
    Ok(())
}

/// A duration as poll takes it, rounded up to a whole millisecond so that a
/// loop doesn't spin in the last one.
#[must_use]
pub fn timespec(time: Duration) -> Timespec {
    let time = time.min(Duration::from_secs(3600)) + Duration::from_micros(999);
    // At most an hour: it fits.
    Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
