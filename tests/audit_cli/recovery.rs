//! Recovery of a torn line by the binary, which fails or is killed at each system call.

use std::fs;
use std::path::PathBuf;

use skopeo_index_core::audit::{Entry, Record, TornLine};
use test_support::program::harness::{Cache, RunOutput, wrap};

/// A log with a torn line.
struct TornLog {
    cache: Cache,
    /// The log with the torn line.
    bytes: Vec<u8>,
}

/// The torn line.
const TORN: &[u8] = b"{\"entry\":{\"transition\":0123";

impl TornLog {
    fn new() -> Self {
        let cache = Cache::new();
        let bytes = Vec::new();
        let torn = Self { cache, bytes };
        torn.run(&[]).assert_status(13);
        let bytes = [&fs::read(torn.log()).expect("a log"), TORN].concat();
        fs::write(torn.log(), &bytes).expect("a log");
        Self { bytes, ..torn }
    }

    fn log(&self) -> PathBuf {
        self.cache.beside("logs/log")
    }

    /// Runs a fetch that finds nothing, as arguments of `wrapper`.
    fn run(&self, wrapper: &[&str]) -> RunOutput {
        fs::create_dir_all(self.log().with_file_name("")).expect("a directory");
        let mut run = self.cache.command([
            "fetch",
            "--offline",
            "--quiet",
            "--skopeo=true",
            "--audit-log",
        ]);
        let missing = test_support::loopback::digest(b"missing");
        run.arg(self.log()).arg(format!("localhost/app@{missing}"));
        let mut run = match wrapper {
            [] => run,
            _ => wrap(wrapper, &run),
        };
        RunOutput::from(
            run.output()
                .expect("strace or prlimit; `make setup` installs them"),
        )
    }

    /// Asserts that nothing was removed or written over, that the next run names the torn
    /// line, and that nothing was written beside the log.
    fn assert_recovered_by_next_run(&self, how: &str) {
        let before = fs::read(self.log()).expect("a log");
        assert!(before.starts_with(&self.bytes), "{how}");
        self.run(&[]).assert_status(13);
        let log = fs::read(self.log()).expect("a log");
        assert!(log.starts_with(&before), "{how}");
        let verified = self
            .cache
            .run(["audit", "verify", self.log().to_str().expect("UTF-8")]);
        assert_eq!(verified.status, Some(0), "{how}: {verified:?}");
        let recovered = |line: &[u8]| match Record::parse(line).ok()?.entry {
            Entry::Recovered { lines } => Some(lines),
            _ => None,
        };
        let mut named = log.split(|byte| *byte == b'\n').filter_map(recovered);
        let is_named = named.any(|lines| lines.contains(&TornLine::of(TORN)));
        assert!(is_named, "{how}");
        let files = fs::read_dir(self.log().with_file_name("")).expect("a directory");
        assert_eq!(files.count(), 1, "{how}");
    }
}

#[test]
fn recovery_failing_at_any_system_call_loses_no_torn_line() {
    for call in ["openat", "write", "fsync", "fdatasync", "flock"] {
        for what in ["signal=KILL", "error=EIO", "error=ENOSPC"] {
            let mut injected = 0;
            for n in 1.. {
                let torn = TornLog::new();
                let path = |path: PathBuf| path.display().to_string();
                let (trace, log) = (path(torn.cache.beside("trace")), path(torn.log()));
                let dir = log.trim_end_matches("/log");
                let inject = format!("inject={call}:{what}:when={n}");
                let traced = format!("trace={call}");
                // -P: only calls on these paths.
                let strace = ["strace", "-qq", "-o", &trace, "-P", &log, "-P", dir];
                torn.run(&[&strace[..], &["-e", &traced, "-e", &inject]].concat());
                let how = format!("{call} {n}: {what}");
                torn.assert_recovered_by_next_run(&how);
                let trace = fs::read_to_string(trace).expect("strace's output");
                if !trace.contains("INJECTED") && !trace.contains("killed by") {
                    break;
                }
                injected += 1;
            }
            assert!(injected > 0, "no {call}");
        }
    }
}

#[test]
fn recovery_without_room_for_its_record_loses_no_torn_line() {
    // Killed by SIGXFSZ with a part written, or failing with EFBIG.
    for ignored in ["", "trap '' XFSZ; "] {
        for room in [0, 1, 2, 100, 300, 1000] {
            let torn = TornLog::new();
            let limit = torn.bytes.len() + room;
            let script = format!("{ignored}exec prlimit --fsize={limit} \"$@\"");
            let output = torn.run(&["sh", "-c", &script, "sh"]);
            assert_ne!(output.status, Some(13), "{output:?}");
            torn.assert_recovered_by_next_run(&format!("{ignored}{room}"));
        }
    }
}

/// Sets or clears the attribute of a file that can only be appended to.
pub(crate) fn chattr(how: &str, log: &PathBuf) -> RunOutput {
    let output = std::process::Command::new("chattr")
        .arg(how)
        .arg(log)
        .output();
    RunOutput::from(output.expect("chattr; `make setup` installs it"))
}

#[test]
fn append_only_log_is_written_and_recovered_like_any_other() {
    let torn = TornLog::new();
    let set = chattr("+a", &torn.log());
    let needed = "root, and a TMPDIR on a file system with attributes such as ext4";
    assert_eq!(set.status, Some(0), "needs {needed}: {}", set.stderr);
    let written = fs::write(torn.log(), "");
    torn.assert_recovered_by_next_run("append-only");
    chattr("-a", &torn.log()).assert_status(0);
    assert!(written.is_err(), "the attribute has no effect");
}
