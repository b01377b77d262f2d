//! Commands as child processes.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
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

/// More time than anybody means to give: a year.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// How much garbage skopeo's runtime lets pile up, in per cent of what it holds,
/// unless the environment says it. skopeo lives for milliseconds, and collecting
/// at Go's 100 takes a sixth of them (`make bench`); it holds little more than a
/// manifest, so that five times as much is bounded as well.
const GARBAGE: (&str, &str) = ("GOGC", "400");

/// Runs skopeo as a child process, in a process group of its own, of which
/// nothing is left when the run ends.
#[derive(Clone, Debug)]
pub struct Process {
    program: PathBuf,
}

impl Process {
    /// `program` is a path, or a name that is looked up in `PATH`, now and once:
    /// what is told of it is told of what runs.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        if program.components().count() > 1 {
            return Self { program };
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .map(|dir| dir.join(&program))
            .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok());
        Self {
            program: found.unwrap_or(program),
        }
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
        if std::env::var_os(GARBAGE.0).is_none() {
            child.env(GARBAGE.0, GARBAGE.1);
        }
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
        let until = Instant::now() + limits.time.min(TIME_MAX);
        let child = self
            .spawn(command, options, limits.time.min(TIME_MAX))
            .map_err(|e| self.broken(e))?;
        let mut running = Running::new(child).map_err(|e| self.broken(e))?;
        let (stdout, stderr) = running.outputs().map_err(|e| self.broken(e))?;
        let collector = Collector {
            stdout: Output::new(stdout),
            stderr: Output::new(stderr),
            ended: running.ended.as_fd(),
            until,
            limits,
            cancel,
        };
        let (stdout, stderr) = collector.collect().map_err(|stopped| match stopped {
            Stopped::Broken(error) => self.broken(error),
            Stopped::Told(error) => error,
        })?;
        let exit = running.reap().map_err(|e| self.broken(e))?;
        Ok(Ran {
            exit,
            stdout,
            stderr,
        })
    }
}

/// A child that isn't reaped yet, so that its number, which is its group's, is
/// nobody else's: the group is killed first, whatever happens.
struct Running {
    child: Option<Child>,
    /// Readable when the child has ended.
    ended: OwnedFd,
}

impl Running {
    fn new(mut child: Child) -> io::Result<Self> {
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(ended) => Ok(Self {
                child: Some(child),
                ended,
            }),
            Err(error) => {
                end(&mut child)?;
                Err(error.into())
            }
        }
    }

    fn outputs(&mut self) -> io::Result<(File, File)> {
        let taken = || io::Error::other("no pipe to the child");
        let child = self.child.as_mut().ok_or_else(taken)?;
        let stdout = child.stdout.take().map(OwnedFd::from).ok_or_else(taken)?;
        let stderr = child.stderr.take().map(OwnedFd::from).ok_or_else(taken)?;
        Ok((stdout.into(), stderr.into()))
    }

    /// What it has written is known, so its end is near; it isn't awaited for
    /// long, and what it leaves behind is killed.
    fn reap(mut self) -> io::Result<Exit> {
        let mut fds = [PollFd::new(&self.ended, PollFlags::IN)];
        // Interrupted or not: it has had its time.
        let _ended = poll(&mut fds, Some(&timespec(REAP_WITHIN)));
        let mut child = self.child.take().ok_or(ErrorKind::NotFound)?;
        end(&mut child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Nobody asks how it ended.
            let _killed = end(child);
        }
    }
}

/// Kills a child's process group and reaps the child.
fn end(child: &mut Child) -> io::Result<Exit> {
    // There may be nobody left, which is what is wanted.
    let _gone = kill_process_group(Pid::from_child(child), Signal::KILL);
    // One in an uninterruptible sleep is the system's to bury.
    let status = child.wait_timeout(REAP_WITHIN)?;
    let status = status.ok_or(ErrorKind::TimedOut)?;
    // A status that is no exit is a signal's.
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    })
}

/// Reads both outputs until they end, or the child has, within all bounds.
struct Collector<'a> {
    stdout: Output,
    stderr: Output,
    ended: BorrowedFd<'a>,
    until: Instant,
    limits: &'a Limits<'a>,
    cancel: &'a Cancel,
}

/// One of the child's outputs, and what was read of it.
struct Output {
    /// `None` when it has ended.
    file: Option<File>,
    bytes: Vec<u8>,
}

/// Why it ended early.
enum Stopped {
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
    fn collect(mut self) -> Result<(Vec<u8>, Vec<u8>), Stopped> {
        while self.stdout.file.is_some() || self.stderr.file.is_some() {
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
                return Err(Stopped::Told(RunError::TimedOut(self.limits.time)));
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
            let open = |output: &'_ Output| output.file.is_some();
            let outputs = [&self.stdout, &self.stderr];
            let files = outputs.iter().filter_map(|output| output.file.as_ref());
            fds.extend(files.map(|file| PollFd::new(file, PollFlags::IN)));
            match poll(&mut fds, Some(&timespec(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Stopped::Broken(error.into())),
            }
            let mut happened = fds[1..].iter().map(|fd| !fd.revents().is_empty());
            let mut of = |polled: bool| polled && happened.next().unwrap_or(false);
            let ready = Ready {
                ended: of(true),
                stdout: of(open(&self.stdout)),
                stderr: of(open(&self.stderr)),
            };
            if ready.ended || ready.stdout || ready.stderr {
                return Ok(ready);
            }
        }
    }
}

impl Output {
    const fn new(file: File) -> Self {
        Self {
            file: Some(file),
            bytes: Vec::new(),
        }
    }

    /// Reads once; it may have ended.
    fn read_some(&mut self) -> Result<(), Stopped> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let mut buffer = [0; 16 << 10];
        match file.read(&mut buffer) {
            Ok(0) => self.file = None,
            Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Stopped::Broken(error)),
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
