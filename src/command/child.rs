//! A child process that ends with its value.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use skopeo_index_core::skopeo::Exit;

use crate::os::{best_effort, timespec};

/// How long to wait for a child that was killed.
const REAP_TIMEOUT: Duration = Duration::from_secs(2);

/// A child that has not been reaped, so that its pid, which is its group's id, can't be
/// reused. Its group is killed on drop.
pub(super) struct Running {
    child: Child,
    /// Readable once the child has exited.
    pub(super) exited: OwnedFd,
    is_reaped: bool,
}

impl Running {
    pub(super) fn new(mut child: Child) -> io::Result<Self> {
        let exited = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        let exited = exited.inspect_err(|_| {
            // It is killed with this process at the latest.
            best_effort(kill_process_group(Pid::from_child(&child), Signal::KILL));
            best_effort(child.try_wait());
        })?;
        Ok(Self {
            child,
            exited,
            is_reaped: false,
        })
    }

    /// Kills what is left of the process group, and returns the exit of the child.
    pub(super) fn reap(&mut self) -> io::Result<Exit> {
        self.is_reaped = true;
        // An empty group is an error that is wanted.
        let group = Pid::from_child(&self.child);
        best_effort(kill_process_group(group, Signal::KILL));
        // A child in uninterruptible sleep cannot be reaped; do not wait for it.
        let mut fds = [PollFd::new(&self.exited, PollFlags::IN)];
        best_effort(poll(&mut fds, Some(&timespec(REAP_TIMEOUT))));
        let status = self.child.try_wait()?.ok_or(ErrorKind::TimedOut)?;
        // A status without an exit code is a signal's.
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Status(code),
            (None, signal) => Exit::Signal(signal.unwrap_or_default()),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            // The command's result is an error already.
            best_effort(self.reap());
        }
    }
}
