//! Files that the command line names and that are pipes: no reader waits for ever.

use std::process::Stdio;

use test_support::loopback;
use test_support::program::harness::{Cache, RunOutput};

#[test]
fn named_pipe_without_a_writer_is_empty() {
    let cache = Cache::new();
    let pipe = cache.beside("pipe");
    let pipe = pipe.to_str().expect("UTF-8");
    loopback::run("mkfifo", &[pipe]);
    for (args, status) in [
        (&["fetch", "--manifest", pipe][..], 2),
        (&["inspect", pipe], 11),
        (
            &["audit", "verify", "--proof", pipe, "--checkpoint", pipe],
            2,
        ),
        (&["audit", "verify", "LOG", "--checkpoint", pipe], 2),
    ] {
        // `timeout` ends a run that waits.
        let mut command = std::process::Command::new("timeout");
        let binary = test_support::program::binary();
        command
            .args(["20"])
            .arg(binary)
            .args(args)
            .env("SKOPEO_INDEX_CACHE", cache.path());
        let output = RunOutput::from(command.output().expect("timeout"));
        output.assert_status(status);
    }
}

#[test]
fn checkpoint_at_a_named_pipe_with_a_silent_writer_is_refused() {
    let cache = Cache::new();
    let [pipe, log] = ["pipe", "log"].map(|name| cache.beside(name).display().to_string());
    loopback::run("mkfifo", &[&pipe]);
    let mut both_ends = std::fs::File::options();
    let _writer = both_ends
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("a pipe");
    let reference = format!("localhost/app@{}", loopback::digest(b"missing"));
    let mut command = std::process::Command::new("timeout");
    command
        .args(["--signal=KILL", "20"])
        .arg(test_support::program::binary())
        .args(["fetch", "--offline", "--skopeo=true", &reference])
        .args(["--audit-log", &log, "--checkpoint", &pipe])
        .env("SKOPEO_INDEX_CACHE", cache.path());
    RunOutput::from(command.output().expect("timeout"))
        .assert_status(2)
        .assert_says("not a regular file");
}

#[test]
fn silent_stdin_ends_at_the_deadline_and_by_a_signal() {
    let cache = Cache::new();
    let run = |args: &[&str], wrapper: &[&str]| {
        let mut command = std::process::Command::new(wrapper[0]);
        command
            .args(&wrapper[1..])
            .arg(test_support::program::binary());
        command.args(args);
        command.env("SKOPEO_INDEX_CACHE", cache.path());
        // The writing end stays open until the run has ended.
        command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        let mut running = command.spawn().expect("the binary");
        let stdin = running.stdin.take();
        let output = running.wait_with_output().expect("its end");
        drop(stdin);
        RunOutput::from(output)
    };
    let interrupt = [
        "timeout",
        "--preserve-status",
        "--kill-after=20",
        "--signal=INT",
        "1",
    ];
    for args in [&["fetch", "--manifest", "-"][..], &["inspect", "-"]] {
        // Without the deadline, `timeout` would end it with another message.
        run(&[args, &["--deadline", "1s"]].concat(), &["timeout", "20"])
            .assert_status(124)
            .assert_says("error: deadline");
        run(args, &interrupt).assert_status(130);
    }
}
