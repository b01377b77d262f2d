//! A child's outputs, read within bounds.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read, retry_on_intr};

use super::{Limits, RunError};
use crate::cancel::{Cancel, timespec};
use crate::index::MANIFEST_MAX;

/// The most that a command may put into its directory: an index, its second
/// copy in a temporary file, and skopeo's `version`. A single image, of which
/// `skopeo copy` downloads every layer, is stopped here.
pub const STAGING_MAX: u64 = 3 * MANIFEST_MAX as u64;

/// The most of stderr that is kept, from its end: the fatal line is the last.
const STDERR_MAX: usize = 64 << 10;

/// How often a directory that a command writes to is measured.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// Reads both outputs until they end, or the child has, within all bounds.
pub(super) struct Collector<'a> {
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    /// Readable when the child has ended.
    pub(super) ended: BorrowedFd<'a>,
    pub(super) until: Instant,
    pub(super) limits: &'a Limits<'a>,
    pub(super) cancel: &'a Cancel,
}

/// One of the child's outputs, and what was read of it.
pub(super) struct Output {
    /// `None` when it has ended.
    file: Option<File>,
    bytes: Vec<u8>,
}

/// Why it ended early.
pub(super) enum Stopped {
    Broken(io::Error),
    Told(RunError),
}

/// What there is to do.
struct Ready {
    stdout: bool,
    stderr: bool,
    /// The child has ended. What it has started may live on, and keep its
    /// outputs open: nobody waits for that.
    ended: bool,
}

impl Collector<'_> {
    pub(super) fn collect(mut self) -> Result<(Vec<u8>, Vec<u8>), Stopped> {
        while self.stdout.is_open() || self.stderr.is_open() {
            let ready = self.ready()?;
            if ready.stdout {
                self.stdout.read_some()?;
                if self.stdout.bytes.len() > MANIFEST_MAX {
                    return Err(Stopped::Told(RunError::OutputTooLarge(MANIFEST_MAX)));
                }
            }
            if ready.stderr {
                self.stderr.read_some()?;
                self.stderr.keep_end();
            }
            if ready.ended && !ready.stdout && !ready.stderr {
                break;
            }
        }
        Ok((self.stdout.bytes, self.stderr.bytes))
    }

    /// Waits until there is something to do, or a bound is reached.
    fn ready(&self) -> Result<Ready, Stopped> {
        loop {
            if let Some(stop) = self.cancel.stopped() {
                return Err(Stopped::Told(RunError::Stopped(stop)));
            }
            let mut left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (after, stderr) = (self.limits.time, self.stderr.bytes.clone());
                return Err(Stopped::Told(RunError::TimedOut { after, stderr }));
            }
            if let Some(dir) = self.limits.writes_to {
                if size_of(dir) > STAGING_MAX {
                    return Err(Stopped::Told(RunError::StagingTooLarge(STAGING_MAX)));
                }
                left = left.min(WATCH_EVERY);
            }
            let (cancel, left) = (self.cancel.as_fd(), self.cancel.time_left(left));
            let mut fds = vec![
                PollFd::new(&cancel, PollFlags::IN),
                PollFd::new(&self.ended, PollFlags::IN),
            ];
            // One that has ended is not polled: it would be ready for ever.
            let files = [&self.stdout.file, &self.stderr.file].into_iter().flatten();
            fds.extend(files.map(|file| PollFd::new(file, PollFlags::IN)));
            match poll(&mut fds, Some(&timespec(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Stopped::Broken(error.into())),
            }
            let mut happened = fds[1..].iter().map(|fd| !fd.revents().is_empty());
            let mut of = |polled: bool| polled && happened.next().unwrap_or(false);
            let ready = Ready {
                ended: of(true),
                stdout: of(self.stdout.is_open()),
                stderr: of(self.stderr.is_open()),
            };
            if ready.ended || ready.stdout || ready.stderr {
                return Ok(ready);
            }
        }
    }
}

impl Output {
    pub(super) const fn new(file: File) -> Self {
        Self {
            file: Some(file),
            bytes: Vec::new(),
        }
    }

    const fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Reads once; it may have ended.
    fn read_some(&mut self) -> Result<(), Stopped> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut buffer = [0; 16 << 10];
        match retry_on_intr(|| read(file, &mut buffer)) {
            Ok(0) => self.file = None,
            Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
            Err(error) => return Err(Stopped::Broken(error.into())),
        }
        Ok(())
    }

    /// Forgets all but the last.
    fn keep_end(&mut self) {
        if self.bytes.len() > 2 * STDERR_MAX {
            self.bytes.drain(..self.bytes.len() - STDERR_MAX);
        }
    }
}

/// Bytes of the files in a directory. What can't be seen (a file that has just
/// gone) counts nothing.
fn size_of(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}
