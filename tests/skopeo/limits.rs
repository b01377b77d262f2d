//! Limits of a command: stdout, stderr, staging, time.

use std::fs;
use std::time::Duration;

use skopeo_index::command::{CommandLimits, RunError};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand};
use test_support::program::fakes::{never_cancelled, request};

use crate::{LONG, Script, run_script};

/// Three manifests of 4 MiB: what a command may write to staging.
const STAGING: u64 = 12 << 20;

#[test]
fn stderr_too_long_keeps_its_last_lines_also_after_stdout_is_closed() {
    // In lines whose size does not divide the size that is kept.
    let writes = "for n in $(seq 30); do head -c 10007 /dev/zero >&2; echo >&2; done";
    let output = run_script(&format!("exec >&-; {writes}; printf END >&2")).expect("it ran");
    assert_eq!(output.exit, Exit::Status(0));
    let kept = output.stderr.strip_suffix(b"END").expect("the last line");
    assert!(
        (54 << 10..=128 << 10).contains(&kept.len()),
        "{}",
        kept.len()
    );
    let mut lines = kept.split_inclusive(|byte| *byte == b'\n');
    assert!(lines.all(|line| line.len() == 10_008), "no part of a line");
}

#[test]
fn line_of_stderr_too_long_keeps_its_start() {
    let long = "head -c 500000 /dev/zero | tr '\\0' x >&2";
    for (end, last) in [
        ("", ""),
        ("; echo >&2", "\n"),
        ("; printf '\\nEND' >&2", "\nEND"),
    ] {
        let lines = "for n in 1 2 3 4 5 6; do printf '%020000d\\n' 0 >&2; done";
        let output = run_script(&format!("{lines}; printf START >&2; {long}{end}"));
        let stderr = String::from_utf8(output.expect("it ran").stderr).expect("text");
        let (before, line) = stderr.split_once("START").expect("the start");
        assert_eq!(line, "x".repeat((32 << 10) - 5) + last);
        assert!(before.is_empty() || before.ends_with("0\n"));
    }
}

#[test]
fn stdout_as_large_as_a_manifest_is_accepted_and_larger_is_refused() {
    let output = run_script("head -c 4194304 /dev/zero").expect("it ran");
    assert_eq!(output.stdout.len(), 4 << 20);
    let result = run_script("exec head -c 4194305 /dev/zero");
    assert!(
        matches!(result, Err(RunError::OutputTooLarge(_))),
        "{result:?}"
    );
}

/// Runs a script as `skopeo copy`, with the copy directory as `$dir`. A file of `existing`
/// bytes is in it before: it is measured before anything is read, and again and again.
fn run_copy(existing: u64, script: &str) -> Result<CommandOutput, RunError> {
    let (cancel, request) = (never_cancelled(), request(Digest::of(b"")));
    let dir = tempfile::tempdir().expect("a directory");
    let before = fs::File::create(dir.path().join("version")).expect("a file");
    before.set_len(existing).expect("a file");
    let script = Script::new(&format!(
        "for last; do :; done; dir=\"${{last#dir:}}\"; {script}"
    ));
    let limits = CommandLimits {
        timeout: LONG,
        output_dir: Some(dir.path()),
    };
    let command = SkopeoCommand::CopyIndex {
        request: &request,
        to: dir.path(),
    };
    script.run_command(&command, &limits, &cancel)
}

#[test]
fn staging_as_large_as_its_limit_is_accepted_and_larger_is_refused() {
    assert!(run_copy(STAGING, ": > \"$dir/blob\"").is_ok());
    let result = run_copy(STAGING, "printf 0 > \"$dir/blob\"; exec sleep 1000");
    assert!(
        matches!(result, Err(RunError::StagingTooLarge(_, "bytes"))),
        "{result:?}"
    );
}

#[test]
fn staging_with_too_large_or_too_many_files_below_it_is_refused() {
    for (script, exceeded) in [
        (
            "mkdir -p \"$dir/a/b\" && head -c 12582913 /dev/zero > \"$dir/a/b/blob\"",
            "bytes",
        ),
        ("for n in $(seq 64); do : > \"$dir/$n\"; done", "entries"),
    ] {
        let result = run_copy(0, &format!("{script}; exec sleep 1000"));
        assert!(
            matches!(result, Err(RunError::StagingTooLarge(_, unit)) if unit == exceeded),
            "{result:?}"
        );
    }
}

#[test]
fn timeout_passed_to_skopeo_is_a_little_longer_and_at_most_a_year() {
    let (cancel, request) = (never_cancelled(), request(Digest::of(b"")));
    let script = Script::new("printf %s \"$2\"");
    let option = |timeout| {
        let limits = CommandLimits {
            timeout,
            output_dir: None,
        };
        let command = SkopeoCommand::InspectRaw(&request);
        let output = script.run_command(&command, &limits, &cancel);
        String::from_utf8(output.expect("it ran").stdout).expect("UTF-8")
    };
    let year = 365 * 24 * 3600;
    for (seconds, passed) in [(60, 65), (year, year + 5), (u64::MAX, year + 5)] {
        let expected = format!("--command-timeout={passed}s");
        assert_eq!(option(Duration::from_secs(seconds)), expected);
    }
}
