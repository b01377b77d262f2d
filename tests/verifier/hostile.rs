//! Verifiers that hang, fork, print without end, or change what they were given.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};
use test_support::loopback::samples;
use wait_timeout::ChildExt;

use crate::Scene;

/// Longer than any run takes.
const LONG: Duration = Duration::from_secs(60);

/// The process group that a script wrote to the file `pid`.
fn group(scene: &Scene) -> Pid {
    let pid = scene.file("pid").trim().parse().expect("a number");
    Pid::from_raw(pid).expect("a process")
}

fn hanging(scene: &Scene) -> String {
    let pid = scene.cache.beside("pid").display().to_string();
    // Renamed, so that the file is never empty.
    let body = format!("sleep 1000 & echo $$ > {pid}.new; mv {pid}.new {pid}; wait; sleep 1000");
    scene.script("hang", &body)
}

#[test]
fn hanging_verifier_is_killed_with_its_children_at_its_timeout() {
    let scene = Scene::new();
    let script = hanging(&scene);
    let output = scene.fetch(&[&script], &["--verifier-timeout=200ms"]);
    output
        .assert_status(18)
        .assert_says("no verdict of a verifier: hang: no exit within 200ms");
    assert!(
        test_kill_process_group(group(&scene)).is_err(),
        "the verifier lives on"
    );
    scene.cache.assert_empty();
    let verifications = scene.verifications();
    assert!(verifications[0].0["command"].get("exit").is_none());
    assert!(verifications[0].0.get("output").is_none());
}

#[test]
fn verifier_is_killed_when_the_run_is_cancelled() {
    let scene = Scene::new();
    let script = hanging(&scene);
    let args = [
        "fetch",
        "--tls-verify=false",
        "--verifier",
        &script,
        &scene.reference,
    ];
    let mut command = scene.cache.command(args);
    let mut running = command.stderr(Stdio::null()).spawn().expect("the binary");
    while !scene.cache.beside("pid").exists() {
        assert!(
            running.try_wait().expect("a child").is_none(),
            "the run has ended"
        );
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&running), Signal::TERM).expect("a running process");
    let ended = running
        .wait_timeout(LONG)
        .expect("a child")
        .expect("an end");
    assert_eq!(ended.code(), Some(130));
    assert!(
        test_kill_process_group(group(&scene)).is_err(),
        "the verifier lives on"
    );
    scene.cache.assert_empty();
}

#[test]
fn deadline_of_the_run_ends_a_verifier() {
    let scene = Scene::new();
    let script = hanging(&scene);
    scene
        .fetch(&[&script], &["--deadline=300ms"])
        .assert_status(124);
    scene.cache.assert_empty();
}

#[test]
fn verifier_that_leaves_a_child_with_its_output_open_is_not_waited_for() {
    let scene = Scene::new();
    let script = scene.script("fork", "sleep 1000 & exit 0");
    scene.fetch(&[&script], &[]).assert_status(0);
}

#[test]
fn endless_output_is_bounded_and_no_approval() {
    let scene = Scene::new();
    for body in ["yes", "yes >&2"] {
        let script = scene.script("print", &format!("{body}; exit 0"));
        let output = scene.fetch(&[&script], &[]);
        output
            .assert_status(18)
            .assert_says("more than 4194304 bytes of output");
        assert!(output.stderr.len() < 4096, "{}", output.stderr.len());
    }
    scene.cache.assert_empty();
}

#[test]
fn verifier_that_changes_its_copy_changes_nothing_that_is_committed() {
    for body in [
        "chmod u+w \"$1\"; echo evil > \"$1\"",
        "rm \"$1\"; ln -s /etc/passwd \"$1\"",
        "rm -rf \"$(dirname \"$1\")\"",
        "mkdir -p \"$(dirname \"$1\")/a/b\"; rm \"$1\"",
    ] {
        let scene = Scene::new();
        let script = scene.script("change", body);
        let seen = scene.script("see", "exec cat");
        // The next verifier has a copy of its own.
        let command = format!("{script} {{file}}");
        scene.fetch(&[&command, &seen], &[]).assert_status(0);
        let object = fs::read(scene.cache.object(&scene.digest)).expect("an object");
        assert_eq!(object, samples::oci_index(2), "{body}");
        let printed = &scene.verifications()[1].0["output"];
        assert_eq!(printed, &scene.digest, "{body}");
        scene.cache.assert_no_staging();
    }
}

#[test]
fn verifier_that_writes_the_object_itself_is_rehashed() {
    let scene = Scene::new();
    let object = scene.cache.object(&scene.digest);
    let script = scene.script("publish", &format!("echo evil > {}", object.display()));
    scene.fetch(&[&script], &[]).assert_status(0);
    assert_eq!(fs::read(&object).expect("an object"), samples::oci_index(2));
}

#[test]
fn output_of_a_verifier_is_escaped_and_truncated() {
    let scene = Scene::new();
    let long = "x".repeat(100_000);
    let script = scene.script("spoof", &format!("printf '\\033[2Jevil\\r{long}'; exit 1"));
    let output = scene.fetch(&[&script], &[]);
    output.assert_status(18);
    assert!(!output.stderr.contains('\u{1b}'), "{output:?}");
    assert!(output.stderr.len() < 4096, "{}", output.stderr.len());
    scene.verifications();
}

#[test]
fn copy_of_a_verifier_is_removed_before_the_next_one_runs() {
    let scene = Scene::new();
    let out = scene.cache.beside("out").display().to_string();
    let list = scene.script("list", "ls -d \"$(dirname \"$1\")\"/../*.verifier > \"$2\"");
    let command = format!("{list} {{file}} {out}");
    scene
        .fetch(&["true", "true", &command], &[])
        .assert_status(0);
    assert_eq!(scene.file("out").lines().count(), 1);
}
