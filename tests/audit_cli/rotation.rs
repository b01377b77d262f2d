//! `audit rotate` of the binary: killed or failing at each system call, and while others write.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use test_support::program::harness::{Cache, RunOutput, wrap};

use crate::recovery::chattr;

/// A log with one run.
struct Log(Cache);

impl Log {
    fn new() -> Self {
        let log = Self(Cache::new());
        fs::create_dir_all(log.path("")).expect("a directory");
        log.fetch(&[]).assert_status(13);
        log
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.beside("logs").join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A fetch that finds nothing, as arguments of `wrapper`.
    fn fetch_command(&self, wrapper: &[&str]) -> Command {
        let missing = test_support::loopback::digest(b"missing");
        let args = [
            "fetch",
            "--offline",
            "--quiet",
            "--skopeo=true",
            "--audit-log",
        ];
        let mut run = self.0.command(args);
        run.arg(self.path("log"))
            .arg(format!("localhost/app@{missing}"));
        match wrapper {
            [] => run,
            _ => wrap(wrapper, &run),
        }
    }

    fn fetch(&self, wrapper: &[&str]) -> RunOutput {
        let output = self.fetch_command(wrapper).output();
        RunOutput::from(output.expect("strace; `make setup` installs it"))
    }

    fn rotate_command(&self, wrapper: &[&str]) -> Command {
        let mut run = self.0.command(["audit", "rotate"]);
        run.arg(self.path("log"));
        match wrapper {
            [] => run,
            _ => wrap(wrapper, &run),
        }
    }

    fn rotate(&self, wrapper: &[&str]) -> RunOutput {
        RunOutput::from(self.rotate_command(wrapper).output().expect("strace"))
    }

    /// Arguments of strace that inject something at the nth call on the log and the files of
    /// its rotation.
    fn strace(&self, call: &str, what: &str, n: usize) -> Vec<String> {
        let mut strace = vec!["strace".to_owned(), "-qq".to_owned()];
        strace.extend([
            "-o".to_owned(),
            self.0.beside("trace").display().to_string(),
        ]);
        for name in ["log", "log.next", "log.1"] {
            strace.extend(["-P".to_owned(), self.text(name)]);
        }
        let dir = self.text("");
        strace.extend(["-P".to_owned(), dir.trim_end_matches('/').to_owned()]);
        strace.extend(["-e".to_owned(), format!("trace={call}")]);
        strace.extend(["-e".to_owned(), format!("inject={call}:{what}:when={n}")]);
        strace
    }

    fn was_injected(&self) -> bool {
        let trace = fs::read_to_string(self.0.beside("trace")).expect("strace's output");
        trace.contains("INJECTED") || trace.contains("killed by")
    }

    /// Asserts that the rotated logs and the present one are a chain, and nothing else is
    /// there.
    #[track_caller]
    fn assert_chain(&self, how: &str) -> usize {
        let count = fs::read_dir(self.path("")).expect("a directory").count();
        let kept = (1..count).map(|n| self.text(&format!("log.{n}")));
        let logs: Vec<_> = kept.chain([self.text("log")]).collect();
        let args = ["audit", "verify"].map(str::to_owned);
        let verified = self.0.run(args.into_iter().chain(logs).collect::<Vec<_>>());
        assert_eq!(verified.status, Some(0), "{how}: {verified:?}");
        count
    }
}

#[test]
fn rotate_prints_the_final_checkpoint_and_verify_follows_the_chain() {
    let log = Log::new();
    let checkpoint = log.0.run(["audit", "checkpoint", &log.text("log")]).stdout;
    let rotated = log.rotate(&[]);
    rotated.assert_status(0).assert_says("kept as log.1");
    assert_ne!(rotated.stdout, checkpoint);
    let kept = log.0.run(["audit", "checkpoint", &log.text("log.1")]);
    assert_eq!(rotated.stdout, kept.stdout);
    log.fetch(&[]).assert_status(13);
    assert_eq!(log.assert_chain("rotated"), 2);

    // Each alone, in another order, with a record less.
    let [old, new] = ["log.1", "log"].map(|name| log.text(name));
    log.0.run(["audit", "verify", &old]).assert_status(0);
    let alone = log.0.run(["audit", "verify", &new]);
    alone.assert_status(0);
    assert!(alone.stdout.contains("which was not checked"), "{alone:?}");
    let reversed = log.0.run(["audit", "verify", &new, &old]);
    reversed.assert_status(16);
    assert!(
        reversed.stdout.contains(&format!("{old}: record 0: ")),
        "{reversed:?}"
    );
    let json = log.0.run(["audit", "verify", "--format=json", &new, &old]);
    assert!(json.stdout.contains("\"log\":"), "{json:?}");
}

#[test]
fn rotate_of_missing_log_or_to_another_directory_is_refused() {
    let log = Log::new();
    let missing = log.text("missing");
    log.0.run(["audit", "rotate", &missing]).assert_status(13);
    assert!(!log.path("missing").exists());
    let path = log.text("log");
    for to in [
        &log.0.beside("elsewhere").display().to_string(),
        "..",
        "./old",
    ] {
        log.0
            .run(["audit", "rotate", &path, "--to", to])
            .assert_status(2)
            .assert_says(to);
    }
    log.0
        .run(["audit", "rotate", &path, "--to", "log"])
        .assert_status(1);
    log.0
        .run(["audit", "rotate", &path, "--to", "old"])
        .assert_status(0);
    assert!(log.path("old").exists());
    log.0
        .run(["audit", "rotate", &path, "--to", "old"])
        .assert_status(1)
        .assert_says("a file has this name");
}

#[test]
fn rotate_to_a_path_in_the_directory_of_the_log_however_it_is_written() {
    let log = Log::new();
    let (path, dir) = (log.text("log"), log.text(""));
    for (n, (path, to)) in [
        (path.as_str(), "./x"),
        ("log", &format!("{dir}/y")),
        ("./log", "../logs/z"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut rotate = log.0.command(["audit", "rotate", path, "--to", to]);
        rotate.current_dir(&dir);
        RunOutput::from(rotate.output().expect("the binary")).assert_status(0);
        assert_eq!(fs::read_dir(&dir).expect("a directory").count(), n + 2);
    }
}

#[test]
fn logs_given_in_the_order_of_their_names_are_refused_with_the_right_order() {
    let log = Log::new();
    for _ in 0..10 {
        log.rotate(&[]).assert_status(0);
    }
    let logs = ["log.1", "log.10", "log.2"].map(|name| log.text(name));
    let verified = log.0.run(["audit", "verify", &logs[0], &logs[1], &logs[2]]);
    verified.assert_status(16);
    let advice = "in the order of their rotations, LOG.2 before LOG.10";
    assert!(verified.stdout.contains(advice), "{verified:?}");
    let verified = log.0.run(["audit", "verify", &log.text("log"), &logs[0]]);
    assert!(
        verified.stdout.contains("the current log last"),
        "{verified:?}"
    );
}

#[test]
fn rotate_failing_at_any_system_call_leaves_the_log_or_a_chain() {
    let calls = [
        "openat",
        "write",
        "fsync",
        "fdatasync",
        "flock",
        "linkat",
        "unlink",
        "rename",
        "fchown",
        "fchmod",
    ];
    for call in calls {
        for what in ["signal=KILL", "error=EIO"] {
            let mut injected = 0;
            for n in 1.. {
                let (log, how) = (Log::new(), format!("{call} {n}: {what}"));
                let before = fs::read(log.path("log")).expect("a log");
                let strace = log.strace(call, what, n);
                log.rotate(&strace.iter().map(String::as_str).collect::<Vec<_>>());
                log.fetch(&[]).assert_status(13);
                log.fetch(&[]).assert_status(13);
                // Removes a LOG.next that is left.
                log.rotate(&[]).assert_status(0);
                log.assert_chain(&how);
                let after = fs::read(log.path("log.1")).expect("a log");
                assert!(after.starts_with(&before), "{how}");
                if !log.was_injected() {
                    break;
                }
                injected += 1;
            }
            assert!(injected > 0, "no {call}");
        }
    }
}

#[test]
fn rotate_without_hard_links_leaves_the_log_as_it_is() {
    let log = Log::new();
    let before = fs::read(log.path("log")).expect("a log");
    let strace = log.strace("linkat", "error=EPERM", 1);
    let strace: Vec<_> = strace.iter().map(String::as_str).collect();
    log.rotate(&strace).assert_status(1).assert_says("log.next");
    assert_eq!(fs::read(log.path("log")).expect("a log"), before);
    log.fetch(&[]).assert_status(13);
    assert_eq!(log.assert_chain("a rotation that failed"), 1);
}

#[test]
fn append_only_log_is_not_ended_and_the_error_names_chattr() {
    let log = Log::new();
    let before = fs::read(log.path("log")).expect("a log");
    let path = log.path("log");
    let set = chattr("+a", &path);
    let (rotated, fetched) = (log.rotate(&[]), log.fetch(&[]));
    chattr("-a", &path).assert_status(0);
    set.assert_status(0);
    let advice = format!("chattr -a {}", log.text("log"));
    rotated.assert_status(1).assert_says(&advice);
    fetched.assert_status(13);
    assert!(
        fs::read(log.path("log"))
            .expect("a log")
            .starts_with(&before)
    );
    assert_eq!(log.assert_chain("a rotation that failed"), 1);
}

#[test]
fn verify_notes_a_rotation_that_is_not_finished_and_the_writer_says_what_to_do() {
    let log = Log::new();
    log.rotate(&[]).assert_status(0);
    fs::rename(log.path("log.1"), log.path("log")).expect("a log");
    let verify = || log.0.run(["audit", "verify", &log.text("log")]);
    let verified = verify();
    verified.assert_status(0);
    let note = "the log was rotated, to be kept as \"log.1\"";
    assert!(verified.stdout.contains(note), "{verified:?}");
    let strace = log.strace("linkat", "error=EPERM", 1);
    let strace: Vec<_> = strace.iter().map(String::as_str).collect();
    let advice = format!("run: skopeo-index audit rotate {}", log.text("log"));
    log.fetch(&strace).assert_status(1).assert_says(&advice);
    log.fetch(&[]).assert_status(13);
    log.assert_chain("a rotation that was completed");
}

#[test]
fn log_rotated_while_two_writers_append_and_are_killed_verifies() {
    let is_long = std::env::var_os("SKOPEO_INDEX_PROOF").is_some_and(|proof| proof == "long");
    let log = Log::new();
    for call in ["write", "fdatasync", "fsync", "flock", "openat"] {
        for n in 1..=if is_long { 12 } else { 3 } {
            let strace = log.strace(call, "signal=KILL", n);
            let strace: Vec<_> = strace.iter().map(String::as_str).collect();
            let commands = [
                log.fetch_command(&strace),
                log.fetch_command(&[]),
                log.rotate_command(&[]),
            ];
            let spawned = commands.map(|mut command| {
                command.stdout(Stdio::null()).stderr(Stdio::null());
                command.spawn().expect("a process")
            });
            for mut child in spawned {
                child.wait().expect("a process");
            }
        }
    }
    log.fetch(&[]).assert_status(13);
    let count = log.assert_chain("rotated while writers append");
    assert!(count > 10, "{count}");
}
