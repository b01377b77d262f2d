//! Commands as child processes.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal};
use wait_timeout::ChildExt;

use super::{Command, CommandRunner, Exit, Limits, Options, Ran, RunError};
use crate::cancel::{Cancel, timespec};
use crate::index::MANIFEST_MAX;
use crate::sys;

/// The most that a command may put into its directory: an index, its second
/// copy in a temporary file, and skopeo's `version`. A single image, of which
/// `skopeo copy` downloads every layer, is stopped here.
pub const STAGING_MAX: u64 = 3 * MANIFEST_MAX as u64;

/// The most of stderr that is kept, from its end: the fatal line is the last.
const STDERR_MAX: usize = 64 << 10;

/// How often a directory that a command writes to is measured.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// How long a child may live on that has closed its output or was killed.
const REAP_WITHIN: Duration = Duration::from_secs(2);

/// Runs skopeo as a child process, in a process group of its own.
#[derive(Clone, Debug)]
pub struct Process {
    program: PathBuf,
}

impl Process {
    /// `program` is a path, or a name to be looked up in `PATH`.
    #[must_use]
    pub const fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// The program that is run.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    fn broken(&self, error: io::Error) -> RunError {
        if error.kind() == ErrorKind::NotFound {
            return RunError::NotThere(self.program.clone());
        }
        RunError::Broken {
            program: self.program.display().to_string(),
            error,
        }
    }

    fn spawn(&self, command: &Command<'_>, options: &Options, time: Duration) -> io::Result<Child> {
        let mut child = std::process::Command::new(&self.program);
        child
            .args(command.argv(options, time))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        sys::die_with_parent(&mut child);
        child.spawn()
    }
}

impl CommandRunner for Process {
    fn run(
        &self,
        command: &Command<'_>,
        options: &Options,
        limits: &Limits<'_>,
        cancel: &Cancel,
    ) -> Result<Ran, RunError> {
        if let Some(stop) = cancel.stopped() {
            return Err(RunError::Stopped(stop));
        }
        let until = Instant::now() + limits.time;
        let child = self
            .spawn(command, options, limits.time)
            .map_err(|e| self.broken(e))?;
        let mut running = Running(child);
        let (stdout, stderr) = running.outputs().map_err(|e| self.broken(e))?;
        let collected = Collector {
            stdout,
            stderr,
            until,
            limits,
            cancel,
        }
        .collect();
        match collected {
            Ok((stdout, stderr)) => {
                let exit = running.reap(until).map_err(|e| self.broken(e))?;
                Ok(Ran {
                    exit,
                    stdout,
                    stderr,
                })
            }
            Err(Ended::Broken(error)) => Err(self.broken(error)),
            Err(Ended::Told(error)) => Err(error),
        }
    }
}

/// A child that is killed, with its process group, if it is dropped alive.
struct Running(Child);

impl Running {
    fn outputs(&mut self) -> io::Result<(File, File)> {
        let taken = || io::Error::other("no pipe to the child");
        let stdout = self.0.stdout.take().map(OwnedFd::from).ok_or_else(taken)?;
        let stderr = self.0.stderr.take().map(OwnedFd::from).ok_or_else(taken)?;
        Ok((stdout.into(), stderr.into()))
    }

    /// Both outputs are closed, so the end is near.
    fn reap(&mut self, until: Instant) -> io::Result<Exit> {
        let left = until
            .saturating_duration_since(Instant::now())
            .min(REAP_WITHIN);
        let status = match self.0.wait_timeout(left)? {
            Some(status) => status,
            None => {
                self.kill_group();
                self.0
                    .wait_timeout(REAP_WITHIN)?
                    .ok_or(ErrorKind::TimedOut)?
            }
        };
        // A status that is no exit is a signal's.
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Status(code),
            (None, signal) => Exit::Signal(signal.unwrap_or_default()),
        })
    }

    fn kill_group(&self) {
        // It may be gone already, which is what is wanted.
        let _gone = rustix::process::kill_process_group(Pid::from_child(&self.0), Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill_group();
            // A child in an uninterruptible sleep is the system's to bury.
            let _reaped = self.0.wait_timeout(REAP_WITHIN);
        }
    }
}

/// Reads both outputs until they end, within all bounds.
struct Collector<'a> {
    stdout: File,
    stderr: File,
    until: Instant,
    limits: &'a Limits<'a>,
    cancel: &'a Cancel,
}

/// Why it ended early.
enum Ended {
    Broken(io::Error),
    Told(RunError),
}

impl Collector<'_> {
    fn collect(mut self) -> Result<(Vec<u8>, Vec<u8>), Ended> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            let (out_ready, err_ready) = self.ready(out_open, err_open)?;
            if out_ready {
                out_open = read_some(&mut self.stdout, &mut out)?;
                if out.len() > MANIFEST_MAX {
                    return Err(Ended::Told(RunError::OutputTooLarge(MANIFEST_MAX)));
                }
            }
            if err_ready {
                err_open = read_some(&mut self.stderr, &mut err)?;
                if err.len() > 2 * STDERR_MAX {
                    err.drain(..err.len() - STDERR_MAX);
                }
            }
        }
        Ok((out, err))
    }

    /// Waits until one of the outputs has something, or a bound is reached.
    fn ready(&self, out_open: bool, err_open: bool) -> Result<(bool, bool), Ended> {
        loop {
            if let Some(stop) = self.cancel.stopped() {
                return Err(Ended::Told(RunError::Stopped(stop)));
            }
            let mut left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Ended::Told(RunError::TimedOut(self.limits.time)));
            }
            if let Some(dir) = self.limits.writes_to {
                if size_of(dir) > STAGING_MAX {
                    return Err(Ended::Told(RunError::StagingTooLarge(STAGING_MAX)));
                }
                left = left.min(WATCH_EVERY);
            }
            // A closed output is not polled: it would be ready for ever.
            let cancel = self.cancel.as_fd();
            let mut fds = vec![PollFd::new(&cancel, PollFlags::IN)];
            for (file, open) in [(&self.stdout, out_open), (&self.stderr, err_open)] {
                if open {
                    fds.push(PollFd::new(file, PollFlags::IN));
                }
            }
            match poll(&mut fds, Some(&timespec(self.cancel.time_left(left)))) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Ended::Broken(error.into())),
            }
            let mut events = fds[1..].iter().map(|fd| !fd.revents().is_empty());
            let out_ready = out_open && events.next().unwrap_or(false);
            let err_ready = err_open && events.next().unwrap_or(false);
            if out_ready || err_ready {
                return Ok((out_ready, err_ready));
            }
        }
    }
}

/// Reads once; says whether there may be more.
fn read_some(from: &mut File, to: &mut Vec<u8>) -> Result<bool, Ended> {
    let mut buffer = [0; 16 << 10];
    match from.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(n) => {
            to.extend_from_slice(&buffer[..n]);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(Ended::Broken(error)),
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
