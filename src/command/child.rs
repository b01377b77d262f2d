//! A child process that ends with its value.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
    child: Option<Child>,
    /// Readable once the child has exited.
    exited: OwnedFd,
}

impl Running {
    pub(super) fn new(mut child: Child) -> io::Result<Self> {
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

    /// Readable once the child has exited.
    pub(super) fn exited(&self) -> BorrowedFd<'_> {
        self.exited.as_fd()
    }

    /// Its pipes to stdout and stderr, where it has them.
    pub(super) fn outputs(&mut self) -> (Option<File>, Option<File>) {
        let Some(child) = &mut self.child else {
            return (None, None);
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let file = |fd: OwnedFd| File::from(fd);
        (
            stdout.map(|out| file(out.into())),
            stderr.map(|out| file(out.into())),
        )
    }

    /// Kills what is left of the process group, and returns the exit of the child.
    pub(super) fn reap(mut self) -> io::Result<Exit> {
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
