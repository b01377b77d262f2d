//! A child's outputs, read within limits.

use std::io::PipeReader;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read, retry_on_intr};
use skopeo_index_core::index::MAX_MANIFEST_SIZE;

use super::{CommandLimits, RunError};
use crate::os::{CancelToken, timespec};

/// Maximum size of a directory that a command writes to: an index, its second copy in a
/// temporary file, and skopeo's `version`. `skopeo copy` of a single image, which
/// downloads every layer, is stopped here.
pub const MAX_STAGING_SIZE: u64 = 3 * MAX_MANIFEST_SIZE as u64;

/// Maximum number of entries in such a directory: a copied index has two, and a temporary one.
const MAX_STAGING_ENTRIES: u64 = 64;

/// How much of stderr is kept, in whole lines from its end: the fatal line is the last.
const MAX_STDERR: usize = 64 << 10;

/// How much of a line of stderr is kept, from its start: there a program says what failed,
/// before text that a registry chose. Less than [`MAX_STDERR`], so that the last line stays.
const MAX_STDERR_LINE: usize = 32 << 10;

/// How often a directory that a command writes to is measured.
const STAGING_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Reads both outputs until the child exits.
pub(super) struct Collector<'a> {
    pub(super) program: &'a Path,
    pub(super) stdout: Output<Vec<u8>>,
    pub(super) stderr: Output<LastLines>,
    /// Readable once the child has exited.
    pub(super) exited: &'a OwnedFd,
    pub(super) until: Instant,
    pub(super) limits: &'a CommandLimits<'a>,
    pub(super) cancel: &'a CancelToken,
}

/// One of the child's outputs, and what is kept of the bytes read from it.
pub(super) struct Output<B> {
    /// `None` once it has ended.
    pipe: Option<PipeReader>,
    bytes: B,
}

/// The last lines of a text, each from its start.
#[derive(Default)]
pub(super) struct LastLines {
    bytes: Vec<u8>,
    /// Where the last line starts.
    line: usize,
}

/// What happened.
struct Ready {
    stdout: bool,
    stderr: bool,
    /// The child exited. Its descendants may live on with its outputs open, so these are
    /// not waited for.
    exited: bool,
}

impl Collector<'_> {
    /// Returns stdout and the last lines of stderr.
    pub(super) fn collect(mut self) -> Result<(Vec<u8>, Vec<u8>), RunError> {
        let failed = |error: Errno| RunError::io(self.program, error.into());
        loop {
            let ready = self.wait()?;
            if ready.stdout {
                self.stdout.read_some().map_err(failed)?;
                if self.stdout.bytes.len() > MAX_MANIFEST_SIZE {
                    return Err(RunError::OutputTooLarge(MAX_MANIFEST_SIZE));
                }
            }
            if ready.stderr {
                self.stderr.read_some().map_err(failed)?;
            }
            if ready.exited && !ready.stdout && !ready.stderr {
                return Ok((self.stdout.bytes, self.stderr.bytes.bytes));
            }
        }
    }

    /// Waits until something happens, or a limit is exceeded.
    fn wait(&self) -> Result<Ready, RunError> {
        loop {
            self.cancel.check()?;
            let mut left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (after, stderr) = (self.limits.timeout, self.stderr.bytes.bytes.clone());
                return Err(RunError::TimedOut { after, stderr });
            }
            if let Some(dir) = self.limits.output_dir {
                check_size(dir)?;
                left = left.min(STAGING_POLL_INTERVAL);
            }
            let (cancel, left) = (self.cancel.as_fd(), self.cancel.time_left(left));
            let mut fds = vec![
                PollFd::new(&cancel, PollFlags::IN),
                PollFd::new(self.exited, PollFlags::IN),
            ];
            // An output that has ended would always be ready.
            let pipes = [&self.stdout.pipe, &self.stderr.pipe].into_iter().flatten();
            fds.extend(pipes.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
            match poll(&mut fds, Some(&timespec(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(RunError::io(self.program, error.into())),
            }
            let mut ready = fds[1..].iter().map(|fd| !fd.revents().is_empty());
            let mut take = |polled: bool| polled && ready.next().unwrap_or(false);
            let ready = Ready {
                exited: take(true),
                stdout: take(self.stdout.is_open()),
                stderr: take(self.stderr.is_open()),
            };
            if ready.exited || ready.stdout || ready.stderr {
                return Ok(ready);
            }
        }
    }
}

impl<B: Default + for<'b> Extend<&'b u8>> Output<B> {
    pub(super) fn new(pipe: Option<PipeReader>) -> Self {
        Self {
            pipe,
            bytes: B::default(),
        }
    }

    const fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Reads once, or notes that the output has ended.
    fn read_some(&mut self) -> rustix::io::Result<()> {
        let Some(pipe) = &self.pipe else {
            return Ok(());
        };
        let mut buffer = [0; 16 << 10];
        match retry_on_intr(|| read(pipe, &mut buffer))? {
            0 => self.pipe = None,
            n => self.bytes.extend(&buffer[..n]),
        }
        Ok(())
    }
}

impl<'b> Extend<&'b u8> for LastLines {
    fn extend<I: IntoIterator<Item = &'b u8>>(&mut self, read: I) {
        for byte in read {
            if *byte == b'\n' {
                self.bytes.push(*byte);
                self.line = self.bytes.len();
            } else if self.bytes.len() - self.line < MAX_STDERR_LINE {
                self.bytes.push(*byte);
            }
        }
        if self.bytes.len() > 2 * MAX_STDERR {
            // What is left starts with a line: half a one could be taken for another.
            let excess = self.bytes.len() - MAX_STDERR;
            let end = self.bytes[excess..].iter().position(|byte| *byte == b'\n');
            let end = end.map_or(0, |at| excess + at + 1);
            self.bytes.drain(..end);
            self.line -= end;
        }
    }
}

/// Checks the size of a directory with all that is below it, without following links. An entry
/// that can't be looked at (just removed) counts as empty.
fn check_size(dir: &Path) -> Result<(), RunError> {
    fn add(dir: &Path, entries: &mut u64) -> Result<u64, RunError> {
        let mut size = 0_u64;
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            *entries += 1;
            if *entries > MAX_STAGING_ENTRIES {
                return Err(RunError::StagingTooLarge(MAX_STAGING_ENTRIES, "entries"));
            }
            size = size.saturating_add(match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => add(&entry.path(), entries)?,
                metadata => metadata.map_or(0, |metadata| metadata.len()),
            });
        }
        Ok(size)
    }
    match add(dir, &mut 0)? {
        0..=MAX_STAGING_SIZE => Ok(()),
        _ => Err(RunError::StagingTooLarge(MAX_STAGING_SIZE, "bytes")),
    }
}
