//! The second signal ends a process that doesn't heed the first.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use test_support::program::fakes::never_cancelled;

/// Set for the process that gets the signals.
const DEAF: &str = "SKOPEO_INDEX_TEST_DEAF";

/// Not a test by itself: says when it was cancelled, and runs on.
#[test]
fn deaf_process() {
    if std::env::var_os(DEAF).is_none() {
        return;
    }
    let cancel = never_cancelled();
    cancel.on_signals().expect("handlers");
    println!("ready");
    while cancel.cancelled().is_none() {
        std::thread::yield_now();
    }
    println!("cancelled");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn second_signal_of_either_kind_ends_the_process() {
    for (first, second) in [
        (Signal::INT, Signal::TERM),
        (Signal::TERM, Signal::INT),
        (Signal::INT, Signal::INT),
    ] {
        let this = std::env::current_exe().expect("this test");
        let mut deaf = Command::new(this)
            .args(["--exact", "signals::deaf_process", "--nocapture"])
            .env(DEAF, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test");
        let mut lines = BufReader::new(deaf.stdout.take().expect("stdout")).lines();
        let mut wait_for = |word: &str| {
            let said = lines.find(|line| line.as_ref().is_ok_and(|line| line.ends_with(word)));
            assert!(said.is_some(), "{word}");
        };
        wait_for("ready");
        kill_process(Pid::from_child(&deaf), first).expect("a running process");
        wait_for("cancelled");
        // The first of these may be taken for duplicates.
        let ended = loop {
            kill_process(Pid::from_child(&deaf), second).expect("a running process");
            match deaf.try_wait().expect("a child") {
                Some(ended) => break ended,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(ended.signal(), Some(second.as_raw()));
    }
}
