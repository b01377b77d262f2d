//! What is shown while it runs: bars, plain lines, JSON.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use test_support::loopback::{Behaviour, Registry, samples};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;

use crate::harness::Cache;

#[test]
fn json_has_an_object_a_line_for_every_transition_and_the_sum() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let good = put(&registry, samples::oci_index(3));
    let bad = put(&registry, samples::single_image());
    let mut args = vec!["fetch", "--tls-verify=false", "--progress=json", "--jobs=1"];
    args.extend([good.as_str(), bad.as_str()]);
    let ran = cache.run(args);
    ran.assert_status(11);
    let events: Vec<Value> = ran.stderr.lines().map(json).collect();
    let path = |reference: &str| {
        let of = events
            .iter()
            .filter(|event| event["event"] == "transition" && event["reference"] == reference);
        of.map(|event| event["to"].as_str().expect("a state"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        path(&good),
        "pending staged copied inspected verified committed"
    );
    assert_eq!(path(&bad), "pending staged copied failed");
    let error = events.iter().find(|event| event["event"] == "error");
    let error = error.expect("an error");
    assert_eq!(error["reference"], bad);
    let said = error["error"].as_str().expect("a text");
    assert!(said.contains("not an image index"), "{said}");
    let sum = events.last().expect("an event");
    assert_eq!(
        (&sum["event"], &sum["fetched"], &sum["failed"]),
        (&"summary".into(), &1.into(), &1.into())
    );
    assert_eq!(sum["bytes"], samples::oci_index(3).len());
}

#[test]
fn off_a_terminal_each_end_is_a_line_and_quiet_leaves_failures_only() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let good = put(&registry, samples::oci_index(3));
    let bad = put(&registry, samples::single_image());
    let ran = cache.fetch(&[&good, &bad]);
    ran.assert_status(11)
        .assert_says(&format!("/2 {good} fetched, "))
        .assert_says("3 manifests")
        .assert_says("1 fetched, 0 cached, 1 failed; ");
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:#?}");

    let quiet = cache.fetch(&["--quiet", &good, &bad]);
    let told: Vec<_> = quiet.stderr.lines().collect();
    assert!(
        told[0].starts_with(&format!("error: {bad}: ")) && told.len() <= 2,
        "{told:#?}"
    );

    let told: Vec<_> = ran
        .stderr
        .lines()
        .filter(|l| l.contains("error: "))
        .collect();
    assert!(told.len() == 1 && told[0].starts_with("20"), "{told:?}");
}

#[test]
fn what_is_asked_for_twice_is_counted_once() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let one = put(&registry, samples::oci_index(3));
    let other = put(&registry, samples::single_image());
    let ran = cache.fetch(&["--jobs=1", &one, &other, &one, &other, &one]);
    ran.assert_status(11)
        .assert_says("/2 ")
        .assert_says("1 fetched, 0 cached, 1 failed; ");
    assert_eq!(ran.stdout.lines().count(), 3, "a path for each");
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{ran:#?}");
    assert!(!ran.stderr.contains("/5 "), "{ran:#?}");
}

#[test]
fn debug_shows_commands_and_what_skopeo_wrote_where_it_failed() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let good = put(&registry, samples::oci_index(3));
    let missing = format!("{}/app@{}", registry.address(), test_support::loopback::digest(b"x"));
    let command = format!(
        "skopeo --debug --command-timeout=125s inspect --raw --tls-verify=false docker://{good} ("
    );
    let ran = cache.fetch(&["--debug", &good]);
    ran.assert_status(0).assert_says(&command);
    assert!(!ran.stderr.contains("level=debug"), "{ran:#?}");
    cache
        .fetch(&["--debug", &missing])
        .assert_status(13)
        .assert_says("it wrote:\n  time=")
        .assert_says("level=debug");
    // So it does where it has no end: what it has said by then is all there is.
    let silent = registry.put(samples::distinct(1));
    registry.behave(&silent, Behaviour::Silence);
    let silent = format!("{}/app@{silent}", registry.address());
    let impatient = ["--command-timeout=2s", "--retry-times=0"];
    cache
        .fetch(&[&["--debug", &silent], &impatient[..]].concat())
        .assert_status(14)
        .assert_says("it wrote:\n  time=")
        .assert_says("no end after 2s");
    let missing = format!("{}/app:missing", registry.address());
    cache
        .run(["resolve", "--debug", "--tls-verify=false", &missing])
        .assert_status(13)
        .assert_says("level=debug");
}

#[test]
fn on_a_terminal_there_are_bars_and_what_must_stay_stays() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let good = put(&registry, samples::oci_index(3));
    let bad = put(&registry, samples::single_image());
    let (status, shown) = on_terminal(&mut cache.command([
        "fetch",
        "--tls-verify=false",
        "--debug",
        good.as_str(),
        bad.as_str(),
    ]));
    assert_eq!(status, Some(11), "{shown}");
    for text in [
        "\u{1b}[",
        "0/2  ",
        " inspect --raw --tls-verify=false ",
        &format!("error: {bad}: "),
        "1 fetched, 0 cached, 1 failed; ",
    ] {
        assert!(shown.contains(text), "no {text:?} in {shown}");
    }
}

/// Puts a document into a registry, and gives its reference.
fn put(registry: &Registry, document: Vec<u8>) -> String {
    format!("{}/app@{}", registry.address(), registry.put(document))
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON on each line")
}

/// Runs it with a terminal to tell things on.
fn on_terminal(command: &mut Command) -> (Option<i32>, String) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("a terminal");
    unlockpt(&terminal).expect("a terminal");
    let size = Winsize {
        ws_row: 24,
        ws_col: 240,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size).expect("a terminal");
    let name = ptsname(&terminal, Vec::new()).expect("its name");
    let name = name.to_str().expect("UTF-8");
    // Nor is it this process's own, if it has none.
    let noctty = OpenptFlags::NOCTTY.bits().cast_signed();
    let mut theirs = File::options();
    let theirs = theirs.read(true).write(true).custom_flags(noctty);
    let mut child = command
        .env("TERM", "xterm")
        .stdout(Stdio::null())
        .stderr(theirs.open(name).expect("its other side"))
        .spawn()
        .expect("the binary");
    // The command keeps a copy of the other side; without it, the end can be seen.
    command.stderr(Stdio::null());
    let mut shown = Vec::new();
    let end = File::from(terminal).read_to_end(&mut shown);
    // Linux says EIO where the last one has closed it.
    assert_eq!(
        end.err().and_then(|error| error.raw_os_error()),
        Some(rustix::io::Errno::IO.raw_os_error())
    );
    let status = child.wait().expect("its end").code();
    (status, String::from_utf8_lossy(&shown).into_owned())
}
