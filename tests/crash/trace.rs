//! System calls, as strace lists them.

use std::collections::BTreeMap;

use crate::fixture::{Fixture, RunResult, Scenario};
use crate::is_long;

/// System calls of the binary that don't change a file system.
const HARMLESS: &str = "access arch_prctl brk capget clock_nanosleep clone clone3 close dup execve exit \
    exit_group faccessat2 fcntl fstat fstatfs futex getcwd getdents64 geteuid getpid getpgid \
    getrandom getrusage gettid getuid getegid getgid ioctl kill lseek lstat madvise mmap \
    mprotect mremap munmap newfstatat nanosleep pidfd_open pidfd_send_signal pipe2 poll \
    ppoll prctl pread64 prlimit64 read readlink readlinkat rseq rt_sigaction rt_sigprocmask \
    rt_sigreturn sched_getaffinity sched_yield sendto recvfrom recvmsg sendmsg \
    set_robust_list set_tid_address setpgid sigaltstack socketpair stat statx sysinfo umask \
    uname vfork wait4 waitid waitpid epoll_create1 epoll_ctl epoll_wait";

/// The calls that may change a file system, by name: the positions of each among the calls
/// of that name, from 1. The short form leaves out `openat` for reading.
pub fn mutating_calls(scenario: Scenario) -> BTreeMap<String, Vec<usize>> {
    let fixture = Fixture::new(scenario);
    let result = fixture.run_traced(&[]);
    assert_eq!(result, RunResult::Succeeded, "{scenario:?}");
    let (mut counts, mut calls) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
    for line in fixture.trace().lines() {
        let Some((name, arguments)) = line.split_once('(') else {
            continue;
        };
        let n: &mut usize = counts.entry(name.to_owned()).or_default();
        *n += 1;
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_left_out = name == "openat" && arguments.contains("O_RDONLY") && !is_long();
        if is_name && !is_left_out && !HARMLESS.split(' ').any(|harmless| harmless == name) {
            calls.entry(name.to_owned()).or_default().push(*n);
        }
    }
    calls
}

/// The calls of a run that sync, rename, link or unlink, in order, with their arguments.
pub fn file_calls(scenario: Scenario, strace_options: &[String]) -> Vec<String> {
    // -y shows the path of each descriptor. What is injected has to be traced.
    let calls = "trace=fsync,fdatasync,syncfs,renameat2,linkat,unlink,unlinkat,openat";
    let mut options = vec!["-y", "-e", calls];
    options.extend(strace_options.iter().map(String::as_str));
    let mut calls = traced(scenario, &options);
    calls.retain(|call| !call.starts_with("openat("));
    calls
}

/// The calls of a successful run. Paths are relative to the fixture's directory.
pub fn traced(scenario: Scenario, strace_options: &[&str]) -> Vec<String> {
    let fixture = Fixture::new(scenario);
    let result = fixture.run_traced(strace_options);
    assert_eq!(result, RunResult::Succeeded, "{scenario:?}");
    let dir = fixture.dir().to_str().expect("UTF-8");
    let trace = fixture.trace();
    trace.lines().map(|line| line.replace(dir, "")).collect()
}
