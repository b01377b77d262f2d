//! Running a command: its outputs, its bounds, its end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{CommandLimits, CommandRunner, RunError, SkopeoBinary};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::CancelReason;
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoOptions};

use crate::stand_in::request;

/// Longer than any of the scripts takes that ends.
const LONG: Duration = Duration::from_secs(60);

/// Three manifests of 4 MiB: what a command may leave.
const STAGING: u64 = 12 << 20;

struct Script(tempfile::TempDir);

impl Script {
    fn new(text: &str) -> Self {
        let script = Self(tempfile::tempdir().expect("a directory"));
        // Another process writes it: no child of this one may have it open, or
        // the system would call it busy.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#;
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", write]).arg(script.path()).arg(text);
        assert!(sh.status().expect("a shell").success());
        script
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("skopeo")
    }

    fn run(&self, time: Duration, cancel: &CancelToken) -> Result<CommandOutput, RunError> {
        let limits = CommandLimits {
            time,
            writes_to: None,
        };
        SkopeoBinary::new(self.path()).run(
            &SkopeoCommand::Version,
            &SkopeoOptions::default(),
            &limits,
            cancel,
        )
    }
}

fn ran(script: &str) -> Result<CommandOutput, RunError> {
    Script::new(script).run(LONG, &CancelToken::new(None).expect("a pipe"))
}

fn gone(process: &Path) -> bool {
    let number = fs::read_to_string(process).expect("its number");
    test_support::loopback::is_gone(number.trim().parse().expect("a number"))
}

#[test]
fn both_outputs_are_read_to_their_ends_and_the_status_is_told() {
    let ended = ran("printf out; printf err >&2; exit 3").expect("it ran");
    assert_eq!(ended.exit, Exit::Status(3));
    assert_eq!(
        (&ended.stdout[..], &ended.stderr[..]),
        (&b"out"[..], &b"err"[..])
    );
    let ended = ran("kill -TERM $$").expect("it ran");
    assert_eq!(ended.exit, Exit::Signal(15));
}

#[test]
fn of_a_long_stderr_the_end_is_kept_and_stdout_may_be_closed_before() {
    // By pieces of which no number is as long as what is kept.
    let pieces = "for n in $(seq 30); do head -c 10007 /dev/zero >&2; done";
    let ended = ran(&format!("exec >&-; {pieces}; printf END >&2")).expect("it ran");
    assert_eq!(ended.exit, Exit::Status(0));
    assert!(ended.stderr.ends_with(b"\0END"));
    let kept = 64 << 10..(128 << 10) + 4;
    assert!(kept.contains(&ended.stderr.len()), "{}", ended.stderr.len());
    let all = ran("head -c 100000 /dev/zero | tr '\\0' x >&2").expect("it ran");
    assert_eq!(all.stderr.len(), 100_000);
}

#[test]
fn an_output_as_large_as_a_manifest_is_taken_and_a_larger_one_is_not() {
    let ended = ran("head -c 4194304 /dev/zero").expect("it ran");
    assert_eq!(ended.stdout.len(), 4 << 20);
    let ended = ran("exec head -c 4194305 /dev/zero");
    assert!(
        matches!(ended, Err(RunError::OutputTooLarge(_))),
        "{ended:?}"
    );
}

#[test]
fn a_program_that_cannot_be_run_is_told_from_one_that_is_not_there() {
    let script = Script::new("");
    fs::set_permissions(script.path(), fs::Permissions::from_mode(0o644)).expect("a file");
    let cancel = CancelToken::new(None).expect("a pipe");
    let ended = script.run(LONG, &cancel);
    assert!(matches!(ended, Err(RunError::Io { .. })), "{ended:?}");
    fs::remove_file(script.path()).expect("it is there");
    let ended = script.run(LONG, &cancel);
    assert!(matches!(ended, Err(RunError::NotFound(_))), "{ended:?}");
}

#[test]
fn what_takes_too_long_is_killed_with_all_that_it_has_started() {
    let script = Script::new("cd \"${0%/*}\"; sleep 1000 & echo $! > child; echo slow >&2; wait");
    let ended = script.run(
        Duration::from_secs(3),
        &CancelToken::new(None).expect("a pipe"),
    );
    // What it has said by then may tell why.
    assert!(
        matches!(&ended, Err(RunError::TimedOut { stderr, .. }) if stderr == b"slow\n"),
        "{ended:?}"
    );
    while !gone(&script.0.path().join("child")) {
        std::thread::yield_now();
    }
}

#[test]
fn what_has_ended_is_not_waited_for_where_others_keep_its_outputs_and_these_are_killed() {
    for others in ["exec sleep 1000", "exec sleep 1000 >&- 2>&-"] {
        let script = Script::new(&format!(
            "cd \"${{0%/*}}\"; printf out; sh -c '{others}' & echo $! > child; exit 3"
        ));
        let ended = script.run(LONG, &CancelToken::new(None).expect("a pipe"));
        let ended = ended.expect("it ran");
        assert_eq!(ended.exit, Exit::Status(3));
        assert_eq!(ended.stdout, b"out");
        while !gone(&script.0.path().join("child")) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn skopeo_collects_less_garbage_unless_the_environment_says_how_much() {
    let ended = ran("printf %s \"$GOGC\"").expect("it ran");
    let said = std::env::var("GOGC");
    assert_eq!(
        String::from_utf8(ended.stdout),
        Ok(said.unwrap_or("400".to_owned()))
    );
}

#[test]
fn skopeo_is_given_a_little_more_than_its_time_and_no_more_than_a_year() {
    let (cancel, request) = (
        CancelToken::new(None).expect("a pipe"),
        request(Digest::of(b"")),
    );
    let script = Script::new("printf %s \"$1\"");
    let given = |time| {
        let limits = CommandLimits {
            time,
            writes_to: None,
        };
        let (process, command) = (
            SkopeoBinary::new(script.path()),
            SkopeoCommand::InspectRaw(&request),
        );
        let ran = process.run(&command, &SkopeoOptions::default(), &limits, &cancel);
        String::from_utf8(ran.expect("it ran").stdout).expect("UTF-8")
    };
    let year = 365 * 24 * 3600;
    for (time, told) in [(60, 65), (year, year + 5), (u64::MAX, year + 5)] {
        let time = Duration::from_secs(time);
        assert_eq!(given(time), format!("--command-timeout={told}s"));
    }
}

#[test]
fn one_that_closes_its_outputs_and_lives_on_is_killed() {
    let ended = ran("exec >&- 2>&-; exec sleep 1000").expect("it ran");
    assert_eq!(ended.exit, Exit::Signal(9));
}

#[test]
fn one_that_is_told_to_stop_is_not_begun_or_ends() {
    let cancel = CancelToken::new(None).expect("a pipe");
    let script = Script::new("touch \"${0%/*}/began\"; exec sleep 1000");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !script.0.path().join("began").exists() {
                std::thread::yield_now();
            }
            cancel.stop(CancelReason::Interrupted);
        });
        let ended = script.run(LONG, &cancel);
        let stopped = Err(CancelReason::Interrupted);
        let why = |error| match error {
            RunError::Cancelled(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(ended.map_err(why).map(drop), stopped);
    });
    let unbegun = Script::new("touch \"${0%/*}/began\"");
    let ended = unbegun.run(LONG, &cancel);
    assert!(matches!(ended, Err(RunError::Cancelled(_))), "{ended:?}");
    assert!(!unbegun.0.path().join("began").exists());
}

#[test]
fn a_copy_may_write_as_much_as_staging_holds_and_no_more() {
    let (cancel, request) = (
        CancelToken::new(None).expect("a pipe"),
        request(Digest::of(b"")),
    );
    // It is measured before anything is read, and again and again.
    let run = |there: u64, bytes: u64, then: &str| {
        let into = tempfile::tempdir().expect("a directory");
        let before = fs::File::create(into.path().join("version")).expect("a file");
        before.set_len(there).expect("a file");
        let script = Script::new(&format!(
            "for last; do :; done; head -c {bytes} /dev/zero > \"${{last#dir:}}/blob\"; {then}"
        ));
        let (to, limits) = (
            into.path(),
            CommandLimits {
                time: LONG,
                writes_to: Some(into.path()),
            },
        );
        let command = SkopeoCommand::CopyIndex {
            request: &request,
            to,
        };
        SkopeoBinary::new(script.path()).run(&command, &SkopeoOptions::default(), &limits, &cancel)
    };
    assert!(run(STAGING, 0, "").is_ok());
    let ended = run(STAGING, 1, "exec sleep 1000");
    assert!(
        matches!(ended, Err(RunError::StagingTooLarge(_))),
        "{ended:?}"
    );
}
