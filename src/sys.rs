//! The two things that std and rustix have no safe way to do. All of this
//! crate's `unsafe` is here.
#![allow(
    unsafe_code,
    reason = "each block says why it is sound; there is no safe way"
)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{Errno, FdFlags};
use rustix::process::Signal;

/// Lets a child die with the thread that starts it.
pub(crate) fn die_with_parent(child: &mut Command) {
    let parent = rustix::process::getpid();
    let die_with_parent = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // Gone before the line above: nobody would send the signal.
        match rustix::process::getppid() {
            Some(pid) if pid == parent => Ok(()),
            _ => Err(Errno::CHILD.into()),
        }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; the
    // closure makes two system calls (prctl, getppid) and allocates nothing.
    unsafe {
        child.pre_exec(die_with_parent);
    }
}

/// Takes a descriptor that this process was started with. Called once for a
/// number, before anything else opens descriptors.
///
/// # Errors
/// Where there is no such descriptor, or it is stdin, stdout or stderr.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: nothing is done with the borrowed number but to ask the kernel
    // whether it is open, which is sound for any number but -1.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and as nothing here has opened it, nothing here owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
