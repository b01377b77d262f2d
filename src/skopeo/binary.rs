//! skopeo's commands as child processes.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Access, access};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoOptions};

use super::outputs::{CollectError, Collector, Output};
use super::{CommandLimits, CommandRunner, RunError, redactor};
use crate::os::{CancelToken, best_effort, kill_with_parent, timespec};

/// How long to wait for a child that closed its outputs, or was killed.
const REAP_TIMEOUT: Duration = Duration::from_secs(2);

/// Upper bound of timeouts, so that adding one to the clock can't overflow: a year.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Default `GOGC` for skopeo unless set. A skopeo process lives for milliseconds and
/// spends a sixth of that in garbage collection at Go's default of 100 (`make bench`); it
/// holds little more than a manifest, so five times as much is bounded as well.
const GOGC: (&str, &str) = ("GOGC", "400");

/// A skopeo program. Each command runs in a process group of its own, which is killed
/// when the command ends.
#[derive(Clone, Debug)]
pub struct SkopeoBinary {
    program: PathBuf,
}

impl SkopeoBinary {
    /// `program` is a path, or a name that is looked up in `PATH` now: the program that
    /// is identified is the one that runs.
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

    fn error(&self, error: io::Error) -> RunError {
        let program = self.program.clone();
        if error.kind() == ErrorKind::NotFound {
            return RunError::NotFound(program);
        }
        RunError::Io { program, error }
    }

    fn spawn(
        &self,
        command: &SkopeoCommand<'_>,
        options: &SkopeoOptions,
        timeout: Duration,
    ) -> io::Result<Child> {
        let mut child = Command::new(&self.program);
        child
            .args(command.argv(options, timeout))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if std::env::var_os(GOGC.0).is_none() {
            child.env(GOGC.0, GOGC.1);
        }
        kill_with_parent(&mut child);
        child.spawn()
    }
}

impl CommandRunner for SkopeoBinary {
    fn program(&self) -> &Path {
        &self.program
    }

    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        options: &SkopeoOptions,
        limits: &CommandLimits<'_>,
        cancel: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        if let Some(reason) = cancel.cancelled() {
            return Err(RunError::Cancelled(reason));
        }
        let timeout = limits.timeout.min(MAX_TIMEOUT);
        let until = Instant::now() + timeout;
        let child = self
            .spawn(command, options, timeout)
            .map_err(|e| self.error(e))?;
        let mut running = Running::new(child).map_err(|e| self.error(e))?;
        let (stdout, stderr) = running.outputs().map_err(|e| self.error(e))?;
        let collector = Collector {
            stdout: Output::new(stdout),
            stderr: Output::new(stderr),
            exited: running.exited.as_fd(),
            until,
            limits,
            cancel,
        };
        let (stdout, stderr) = collector.collect().map_err(|error| match error {
            CollectError::Io(error) => self.error(error),
            CollectError::Run(RunError::TimedOut { after, stderr }) => RunError::TimedOut {
                after,
                stderr: without_secrets(&stderr, options),
            },
            CollectError::Run(error) => error,
        })?;
        let exit = running.reap().map_err(|e| self.error(e))?;
        Ok(CommandOutput {
            exit,
            stdout,
            stderr: without_secrets(&stderr, options),
        })
    }
}

/// What a command wrote to stderr, without the credentials that it may have sent. This is
/// where foreign text enters the program.
fn without_secrets(stderr: &[u8], options: &SkopeoOptions) -> Vec<u8> {
    if stderr.is_empty() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(stderr);
    redactor(options).redact(&text).into_bytes()
}

/// A child that has not been reaped, so that its pid, which is its group's id, can't be
/// reused. Its group is killed on drop.
struct Running {
    child: Option<Child>,
    /// Readable once the child has exited.
    exited: OwnedFd,
}

impl Running {
    fn new(mut child: Child) -> io::Result<Self> {
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(exited) => Ok(Self {
                child: Some(child),
                exited,
            }),
            Err(error) => {
                // It is killed with this process at the latest.
                best_effort(kill_process_group(Pid::from_child(&child), Signal::KILL));
                best_effort(child.try_wait());
                Err(error.into())
            }
        }
    }

    fn outputs(&mut self) -> io::Result<(File, File)> {
        let missing = || io::Error::other("no pipe to the child");
        let child = self.child.as_mut().ok_or_else(missing)?;
        let stdout = child.stdout.take().map(OwnedFd::from).ok_or_else(missing)?;
        let stderr = child.stderr.take().map(OwnedFd::from).ok_or_else(missing)?;
        Ok((stdout.into(), stderr.into()))
    }

    /// Waits for the exit, and kills what is left of the process group.
    fn reap(mut self) -> io::Result<Exit> {
        let mut fds = [PollFd::new(&self.exited, PollFlags::IN)];
        // Whatever ends the wait, the group is killed next.
        best_effort(poll(&mut fds, Some(&timespec(REAP_TIMEOUT))));
        let mut child = self.child.take().ok_or(ErrorKind::NotFound)?;
        kill_group(&mut child, &self.exited)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // The command's result is an error already.
            best_effort(kill_group(child, &self.exited));
        }
    }
}

/// Kills a child's process group and reaps the child.
fn kill_group(child: &mut Child, exited: &OwnedFd) -> io::Result<Exit> {
    // An empty group is an error that is wanted.
    best_effort(kill_process_group(Pid::from_child(child), Signal::KILL));
    // A child in uninterruptible sleep cannot be reaped; do not wait for it.
    let mut fds = [PollFd::new(exited, PollFlags::IN)];
    best_effort(poll(&mut fds, Some(&timespec(REAP_TIMEOUT))));
    let status = child.try_wait()?.ok_or(ErrorKind::TimedOut)?;
    // A status without an exit code is a signal's.
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    })
}
