//! Runs that write to a log: two at once, and one that cannot open it.

use std::fs;
use std::process::{Command, Stdio};

use test_support::loopback::{Registry, samples};
use test_support::program::binary;
use test_support::program::harness::{Cache, RunOutput};

#[test]
fn concurrent_processes_append_to_one_log() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let log = cache.beside("log");
    let start = |from: usize| {
        let mut command = cache.command(["fetch", "--tls-verify=false", "--audit-log"]);
        command.arg(&log);
        command.args((from..from + 30).map(|n| {
            format!(
                "{}/app@{}",
                registry.address(),
                registry.put(samples::distinct(n))
            )
        }));
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary")
    };
    for process in [start(0), start(20)] {
        RunOutput::from(process.wait_with_output().expect("its end")).assert_status(0);
    }
    let (log, dir) = (
        log.display().to_string(),
        cache.path().display().to_string(),
    );
    let output = cache.run(["audit", "verify", &log, "--cache", &dir]);
    output.assert_status(0);
    assert!(
        output.stdout.ends_with(" 0 findings: intact\n"),
        "{output:?}"
    );
    assert_eq!(
        cache.run(["audit", "show", &log]).stdout.lines().count(),
        61
    );
}

#[test]
fn log_that_cannot_be_opened_stops_the_run_before_any_request() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference, "--audit-log", "/nowhere/log"])
        .assert_status(1)
        .assert_says("/nowhere/log");
    assert_eq!(registry.requests(&digest), 0);
    cache.assert_empty();
}

#[test]
fn hint_about_a_file_that_is_not_a_log_has_a_command_that_a_shell_takes() {
    let cache = Cache::new();
    let file = cache.beside("it's no log");
    fs::write(&file, "text\n").expect("a file");
    let reference = format!("localhost/app@sha256:{}", "0".repeat(64));
    let mut command = cache.command(["fetch", "--offline", &reference, "--audit-log"]);
    let output = RunOutput::from(command.arg(&file).output().expect("the binary"));
    output.assert_status(1);
    let hint = output
        .stderr
        .split_once("hint: to see why, run: skopeo-index ");
    let (_, arguments) = hint.expect("a hint");
    let line = format!("exec \"$0\" {arguments}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).arg(binary());
    RunOutput::from(shell.output().expect("a shell")).assert_status(16);
}
