//! Recovery of a torn line, which fails or is killed at each system call.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use skopeo_index_core::digest::Digest;
use test_support::program::harness::{Cache, RunOutput, wrap};

/// A log with a torn line.
struct TornLog {
    cache: Cache,
    /// The complete lines before the torn one.
    complete: Vec<u8>,
}

/// The torn line.
const TORN: &[u8] = b"{\"log\":\"skopeo-index/0123";

impl TornLog {
    fn new() -> Self {
        let cache = Cache::new();
        let complete = Vec::new();
        let torn = Self { cache, complete };
        torn.run(&[]).assert_status(13);
        let complete = fs::read(torn.log()).expect("a log");
        fs::write(torn.log(), [&complete, TORN].concat()).expect("a log");
        Self { complete, ..torn }
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

    /// Asserts that complete lines are unchanged, that every file beside the log is named
    /// by a `recovered` record after the next run, and that the torn line is in one of
    /// them.
    fn assert_recovered_by_next_run(&self, how: &str) {
        let log = fs::read(self.log()).expect("a log");
        assert!(log.starts_with(&self.complete), "{how}");
        self.run(&[]).assert_status(13);
        let log = fs::read_to_string(self.log()).expect("a log");
        let verified = self
            .cache
            .run(["audit", "verify", self.log().to_str().expect("UTF-8")]);
        assert_eq!(verified.status, Some(0), "{how}: {verified:?}");
        let recovered = |line: &str| {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let recovered = record["entry"].get("recovered")?;
            let text = |key: &str| recovered[key].as_str().expect("text").to_owned();
            Some((text("file"), text("sha256")))
        };
        let mut recorded: Vec<_> = log.lines().filter_map(recovered).collect();
        let mut saved = Vec::new();
        for entry in fs::read_dir(self.log().with_file_name("")).expect("a directory") {
            let name = entry
                .expect("a file")
                .file_name()
                .into_string()
                .expect("UTF-8");
            if name != "log" {
                let bytes = fs::read(self.log().with_file_name(&name)).expect("a file");
                saved.push((name, Digest::of(&bytes).to_string()));
            }
        }
        recorded.sort();
        saved.sort();
        assert_eq!(recorded, saved, "{how}");
        let torn = Digest::of(TORN).to_string();
        assert!(recorded.iter().any(|(_, sha256)| *sha256 == torn), "{how}");
        assert!(recorded.len() <= 2, "{how}: {recorded:?}");
    }
}

#[test]
fn recovery_failing_at_any_system_call_loses_no_torn_line() {
    for call in ["openat", "pwrite64", "fsync", "ftruncate", "flock"] {
        for what in ["signal=KILL", "error=EIO"] {
            let mut injected = 0;
            for n in 1.. {
                let torn = TornLog::new();
                let trace = torn.cache.beside("trace");
                let inject = format!("inject={call}:{what}:when={n}");
                // -P: only calls on these paths.
                let dir = torn.log().with_file_name("");
                let log = torn.log();
                let saved = torn.log().with_file_name("log.torn-1");
                let path = |path: &PathBuf| path.display().to_string();
                let (trace_at, dir, log, saved) =
                    (path(&trace), path(&dir), path(&log), path(&saved));
                let dir = dir.trim_end_matches('/');
                torn.run(&[
                    "strace",
                    "-qq",
                    "-o",
                    &trace_at,
                    "-P",
                    &log,
                    "-P",
                    dir,
                    "-P",
                    &saved,
                    "-e",
                    &format!("trace={call}"),
                    "-e",
                    &inject,
                ]);
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
fn recovery_with_unreadable_saved_torn_line_fails_and_is_retried() {
    let torn = TornLog::new();
    fs::write(torn.log().with_file_name("log.torn-1"), "other").expect("a file");
    let [saved, trace] =
        ["logs/log.torn-1", "trace"].map(|name| torn.cache.beside(name).display().to_string());
    let inject = "inject=openat:error=EIO:when=1";
    torn.run(&["strace", "-qq", "-o", &trace, "-P", &saved, "-e", inject])
        .assert_status(1)
        .assert_says("cannot save a torn line");
    torn.assert_recovered_by_next_run("EIO");
}

#[test]
fn recovery_without_room_for_its_record_loses_no_torn_line() {
    // Killed by SIGXFSZ with a part written, or failing with EFBIG.
    for ignored in ["", "trap '' XFSZ; "] {
        for room in [0, 1, 100, 300, 1000] {
            let torn = TornLog::new();
            let limit = torn.complete.len() + TORN.len() + room;
            let script = format!("{ignored}exec prlimit --fsize={limit} \"$@\"");
            let output = torn.run(&["sh", "-c", &script, "sh"]);
            assert_ne!(output.status, Some(13), "{output:?}");
            torn.assert_recovered_by_next_run(&format!("{ignored}{room}"));
        }
    }
}
