//! A reader that stalls: deadline, signals and the audit log keep working.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use skopeo_index::os::best_effort;
use test_support::loopback::{digest, samples};
use test_support::program::harness::{Cache, wrap};

/// A run that waited for its reader would never end: the limit is for busy machines.
const LIMIT: Duration = Duration::from_secs(60);

/// Enough for a pipe (64 KiB) to fill up many times.
const ITEMS: usize = 1500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

const CASES: [(Stream, &str); 4] = [
    (Stream::Stderr, "--progress=plain"),
    (Stream::Stderr, "--progress=json"),
    (Stream::Stdout, "--progress=plain"),
    (Stream::Stdout, "--progress=json"),
];

/// A cache with all items.
fn cache() -> (Cache, Vec<String>) {
    let cache = Cache::new();
    std::fs::create_dir_all(cache.path()).expect("a cache");
    let put = |n| {
        let document = samples::distinct(n);
        std::fs::write(cache.object(&digest(&document)), &document).expect("an object");
        format!("localhost:1/app@{}", digest(&document))
    };
    let references = (0..ITEMS).map(put).collect();
    (cache, references)
}

/// Starts a command with one stream that is never read.
fn start(command: &mut Command, stalled: Stream) -> (Child, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    command.stdin(Stdio::null());
    match stalled {
        Stream::Stdout => command.stdout(writer).stderr(Stdio::piped()),
        Stream::Stderr => command.stderr(writer).stdout(Stdio::piped()),
    };
    let child = command.spawn().expect("the binary");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    (child, reader)
}

fn fetch(cache: &Cache, more: &[&str], references: &[String]) -> Command {
    let mut command = cache.command(["fetch", "--offline", "--format=json"]);
    command.args(more).args(references);
    command
}

#[test]
fn run_whose_reader_stalls_ends_by_its_deadline() {
    let (cache, references) = cache();
    for (stalled, progress) in CASES {
        let started = Instant::now();
        let mut command = fetch(&cache, &["--deadline=3s", progress], &references);
        let (child, _reader) = start(&mut command, stalled);
        let output = child.wait_with_output().expect("an exit status");
        let took = started.elapsed();
        assert!(took < LIMIT, "{stalled:?} {progress}: {took:?}");
        match stalled {
            // Everything was fetched, and not every result could be written.
            Stream::Stdout => {
                assert_eq!(output.status.code(), Some(1), "{progress}");
                let stderr = String::from_utf8_lossy(&output.stderr);
                let last = stderr.lines().last().unwrap_or_default();
                assert!(
                    last.starts_with("error: cannot write to stdout: "),
                    "{last}"
                );
            }
            Stream::Stderr => {
                assert_eq!(output.status.code(), Some(0), "{progress}");
                let results = output.stdout.iter().filter(|byte| **byte == b'\n');
                assert_eq!(results.count(), ITEMS);
            }
        }
    }
}

#[test]
fn sigterm_ends_a_run_whose_reader_stalls_and_its_log_is_complete() {
    let (cache, references) = cache();
    let log = cache.beside("log");
    let log_arg = format!("--audit-log={}", log.display());
    for (stalled, progress) in CASES {
        let mut command = fetch(&cache, &[progress, &log_arg], &references);
        let (mut child, _reader) = start(&mut command, stalled);
        // The other stream isn't read either.
        std::thread::sleep(Duration::from_secs(2));
        let pid = Pid::from_child(&child);
        let signalled = Instant::now();
        // It may have ended: messages are not waited for without end.
        best_effort(kill_process(pid, Signal::TERM));
        let status = child.wait().expect("an exit status");
        let took = signalled.elapsed();
        assert!(took < LIMIT, "{stalled:?} {progress}: {took:?}");
        assert!(status.code().is_some(), "{status}");
    }
    let verified = cache.command(["audit", "verify"]).arg(&log).output();
    let verified = verified.expect("the binary");
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(0), "{text}");
    assert!(!text.contains("unfinished"), "{text}");
}

#[test]
fn messages_to_a_stalled_stderr_are_given_up() {
    let cache = Cache::new();
    let references: Vec<_> = (0..ITEMS)
        .map(|n| format!("localhost:1/app@{}", digest(&samples::distinct(n))))
        .collect();
    let started = Instant::now();
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let mut command = fetch(&cache, &[], &references);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(writer).spawn().expect("the binary");
    assert_eq!(child.wait().expect("an exit status").code(), Some(13));
    let took = started.elapsed();
    assert!(took < LIMIT, "{took:?}");
    drop(reader);
}

#[test]
fn stdout_closed_before_the_start_is_a_failure_and_dev_null_is_none() {
    let (cache, references) = cache();
    let fetch = fetch(&cache, &["--quiet"], &references);
    let verify = cache.command(["verify"]);
    let commands = [
        fetch,
        verify,
        cache.command(["--version"]),
        cache.command(["-V"]),
    ];
    for command in &commands {
        // Python's subprocess.DEVNULL can be read as well, as what std opens.
        for null in [">/dev/null", "1<>/dev/null"] {
            let script = format!("exec \"$@\" {null}");
            let status = wrap(&["sh", "-c", &script, "sh"], command).status();
            assert!(status.expect("the binary").success(), "{command:?} {null}");
        }
        for closed in [">&-", "<&- >&-"] {
            let script = format!("exec \"$@\" {closed}");
            let output = wrap(&["sh", "-c", &script, "sh"], command).output();
            let output = output.expect("the binary");
            assert_eq!(output.status.code(), Some(1), "{command:?} {closed}");
            let stderr = String::from_utf8_lossy(&output.stderr);
            let expected = "error: cannot write to stdout: Bad file descriptor";
            assert!(stderr.contains(expected), "{stderr}");
        }
    }
}

#[test]
fn closed_stdout_is_a_failure_that_counts_results_not_written() {
    let (cache, references) = cache();
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    drop(reader);
    let mut command = fetch(&cache, &["--quiet"], &references);
    let output = command.stdin(Stdio::null()).stdout(writer).output();
    let output = output.expect("the binary");
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "error: cannot write to stdout: Broken pipe (os error 32); lost at least {ITEMS} results\n"
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
}
