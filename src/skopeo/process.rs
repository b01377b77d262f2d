//! Commands as child processes.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Access, access};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use wait_timeout::ChildExt;

use super::outputs::{Collector, Output, Stopped};
use super::{Command, CommandRunner, Exit, Limits, Options, Ran, RunError};
use crate::cancel::{Cancel, timespec};
use crate::sys;

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
        let time = limits.time.min(TIME_MAX);
        let until = Instant::now() + time;
        let child = self
            .spawn(command, options, time)
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
