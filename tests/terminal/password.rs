//! A password that is asked for.

use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::{Cache, RunOutput, wrap};

use crate::screen::{self, Stdout};

/// "alice:correct horse", in base64.
const BASIC: &str = "Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==";

#[test]
fn password_of_creds_is_asked_for_and_not_shown() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.require(BASIC, Behaviour::unauthorized());
    let reference = format!("{}/app@{digest}", registry.address());
    let fetch = ["fetch", "--tls-verify=false", "--creds=alice", &reference];
    let prompt = format!("Password of \"alice\" at {}: ", registry.address());
    for (typed, status) in [("correct horse\n", 0), ("\u{3}", 130), ("\n", 2)] {
        let script = "trap : INT; \"$0\" \"$@\"; status=$?; stty -a; exit $status";
        let command = wrap(&["sh", "-c", script], &cache.command(fetch));
        let shown = screen::run(
            &command,
            (160, 24),
            Stdout::Terminal,
            Some((&prompt, typed)),
        );
        assert_eq!(shown.status, Some(status), "{:#?}", shown.lines);
        assert!(!shown.received.contains("horse"), "{:?}", shown.received);
        assert!(shown.received.contains(" echo "), "{:?}", shown.received);
    }
}

#[test]
fn password_without_a_terminal_names_password_stdin() {
    let cache = Cache::new();
    let reference = "localhost:1/x:latest";
    let inner = cache.command(["resolve", "--creds=alice", reference]);
    let mut command = wrap(&["setsid", "-w"], &inner);
    let output = command.output().expect("the binary");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("hint: pass it on stdin, with --password-stdin"),
        "{stderr}"
    );
}

#[test]
fn password_is_not_asked_for_offline() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    let offline = ["fetch", "--offline", "--creds=alice", &reference];
    let run = || {
        let mut command = wrap(&["setsid", "-w"], &cache.command(offline));
        RunOutput::from(command.output().expect("the binary"))
    };
    run().assert_status(13);
    cache.fetch(&[&reference]).assert_status(0);
    run().assert_status(0);
}
