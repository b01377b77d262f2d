//! System calls that std and rustix don't wrap safely. All `unsafe` of the workspace is
//! here.
#![allow(
    unsafe_code,
    reason = "std and rustix have no safe wrapper; each block says why it is sound"
)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use rustix::process::Signal;
use rustix::stdio::dup2_stdout;

use super::best_effort;

/// Has the kernel kill a child when the thread that started it ends.
pub(crate) fn kill_with_parent(child: &mut Command) {
    let parent = rustix::process::getpid();
    let set_death_signal = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // If the parent ended before the call above, no signal will come.
        match rustix::process::getppid() {
            Some(pid) if pid == parent => Ok(()),
            _ => Err(Errno::CHILD.into()),
        }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; the
    // closure makes two system calls (prctl, getppid) and allocates nothing.
    unsafe {
        child.pre_exec(set_death_signal);
    }
}

/// Runs before std has started, as constructors of C do.
// SAFETY: the section holds pointers to functions that libc calls with arguments that this one
// ignores.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_STD: extern "C" fn() = replace_closed_stdout;

/// Puts a descriptor that can't be written to in place of a closed stdout. std would open
/// /dev/null for writing, and results would be lost without an error.
extern "C" fn replace_closed_stdout() {
    // SAFETY: the borrowed number is used only to ask the kernel whether it is open.
    let stdout = unsafe { BorrowedFd::borrow_raw(1) };
    if rustix::io::fcntl_getfd(stdout) == Err(Errno::BADF)
        && let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty())
    {
        best_effort(dup2_stdout(&null));
        // It is stdout itself, or stdin, which was closed as well.
        std::mem::forget(null);
    }
}

/// Takes ownership of a descriptor that the process was started with. Call it once for a
/// number, before anything else opens descriptors.
///
/// # Errors
/// Where the descriptor is not open, or is stdin, stdout or stderr.
pub(crate) fn take_inherited_fd(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: the borrowed number is used only to ask the kernel whether it is open,
    // which is sound for any number but -1.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and nothing in this process owns it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
