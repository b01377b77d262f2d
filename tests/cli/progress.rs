//! Progress on stderr: plain lines, JSON; and `--debug`. Bars are in `tests/terminal`.

use serde_json::Value;
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::Cache;

#[test]
fn progress_json_has_every_transition_and_a_summary() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let good = put(&registry, samples::oci_index(3));
    let bad = put(&registry, samples::single_image());
    let mut args = vec!["fetch", "--tls-verify=false", "--progress=json", "--jobs=1"];
    args.extend([good.as_str(), bad.as_str()]);
    let output = cache.run(args);
    output.assert_status(11);
    let events: Vec<Value> = output.stderr.lines().map(json).collect();
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
    let message = error["error"].as_str().expect("a message");
    assert!(message.contains("not an image index"), "{message}");
    let summary = events.last().expect("an event");
    assert_eq!(
        (&summary["event"], &summary["fetched"], &summary["failed"]),
        (&"summary".into(), &1.into(), &1.into())
    );
    assert_eq!(summary["bytes"], samples::oci_index(3).len());
}

#[test]
fn progress_plain_has_a_line_per_fetch_and_quiet_only_errors() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let good = put(&registry, samples::oci_index(3));
    let bad = put(&registry, samples::single_image());
    let output = cache.fetch(&[&good, &bad]);
    output
        .assert_status(11)
        .assert_says(&format!(" fetched {}: OCI index, ", short(&good)))
        .assert_says("/2)")
        .assert_says("3 manifests")
        .assert_says("1 fetched, 0 cached, 1 failed; ");
    assert!(!output.stderr.contains('\u{1b}'), "{output:#?}");

    let quiet = cache.fetch(&["--quiet", &good, &bad]);
    let lines: Vec<_> = quiet.stderr.lines().collect();
    assert!(
        lines[0].starts_with(&format!("error: {bad}: ")) && lines.len() <= 2,
        "{lines:#?}"
    );

    // Progress lines have a timestamp, errors and their hints don't.
    let is_error = |line: &&str| line.contains("error: ") || line.starts_with("  hint: ");
    let (errors, progress): (Vec<_>, Vec<_>) = output.stderr.lines().partition(is_error);
    assert!(
        errors.len() == 2 && errors[0].starts_with("error: "),
        "{errors:?}"
    );
    assert!(
        progress.iter().all(|line| line.starts_with("20")),
        "{progress:?}"
    );
}

#[test]
fn progress_counts_duplicate_request_once() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let one = put(&registry, samples::oci_index(3));
    let other = put(&registry, samples::single_image());
    let output = cache.fetch(&["--jobs=1", &one, &other, &one, &other, &one]);
    output
        .assert_status(11)
        .assert_says("/2)")
        .assert_says("1 fetched, 0 cached, 1 failed; ");
    assert_eq!(output.stdout.lines().count(), 3, "a path for each");
    assert_eq!(output.stderr.matches("error: ").count(), 1, "{output:#?}");
    assert!(!output.stderr.contains("/5)"), "{output:#?}");
}

#[test]
fn debug_prints_commands_and_stderr_of_failed_ones() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let good = put(&registry, samples::oci_index(3));
    let missing = format!(
        "{}/app@{}",
        registry.address(),
        test_support::loopback::digest(b"x")
    );
    let command = format!(
        "skopeo --debug --command-timeout=125s inspect --raw --tls-verify=false docker://{good} ("
    );
    let output = cache.fetch(&["--debug", &good]);
    output.assert_status(0).assert_says(&command);
    assert!(!output.stderr.contains("level=debug"), "{output:#?}");
    cache
        .fetch(&["--debug", &missing])
        .assert_status(13)
        .assert_says("stderr of skopeo:\n  time=")
        .assert_says("level=debug");
    // A command that times out has written something too.
    let silent = registry.put(samples::distinct(1));
    registry.behave(&silent, Behaviour::Silence);
    let silent = format!("{}/app@{silent}", registry.address());
    let short = ["--command-timeout=2s", "--retry-times=0"];
    cache
        .fetch(&[&["--debug", &silent], &short[..]].concat())
        .assert_status(14)
        .assert_says("stderr of skopeo:\n  time=")
        .assert_says("no exit within 2s");
    let missing = format!("{}/app:missing", registry.address());
    cache
        .run(["resolve", "--debug", "--tls-verify=false", &missing])
        .assert_status(13)
        .assert_says("level=debug");
}

/// A reference with its digest shortened.
fn short(reference: &str) -> String {
    let (name, digest) = reference.split_once('@').expect("a digest");
    format!("{name}@{}…", &digest[..19])
}

/// Adds a document to a registry and returns its reference.
fn put(registry: &Registry, document: Vec<u8>) -> String {
    format!("{}/app@{}", registry.address(), registry.put(document))
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON on each line")
}
