//! `--label`, and the environment of a run, of which nothing else is recorded.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput};
use test_support::program::host::{Host, Version, items, reply};

use crate::{record, try_record};

/// Variables with secrets, beside that of the labels and of the run's identity.
const NEIGHBOURS: [(&str, &str); 12] = [
    ("SKOPEO_INDEX_LABEL", "n0=s3cr3t-00"),
    ("SKOPEO_INDEX_LABELS_", "n1=s3cr3t-01"),
    ("SKOPEO_INDEX_TOKEN", "s3cr3t-02"),
    ("SKOPEO_INDEX_PASSWORD", "s3cr3t-03"),
    ("AWS_SECRET_ACCESS_KEY", "s3cr3t-04"),
    ("GITHUB_TOKEN", "s3cr3t-05"),
    ("CI_JOB_TOKEN", "s3cr3t-06"),
    ("SUDO_USER", "s3cr3t-07"),
    ("USER", "s3cr3t-08"),
    ("HOSTNAME", "s3cr3t-09"),
    ("LOGNAME", "s3cr3t-10"),
    ("SUDO_COMMAND", "s3cr3t-11"),
];

/// The runs' invocations in a log.
#[track_caller]
fn invocations(log: &str) -> Vec<Value> {
    let log = fs::read_to_string(log).expect("a log");
    let records = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let of_run = |record: Value| record.pointer("/entry/run/invocation").cloned();
    records.filter_map(of_run).collect()
}

#[track_caller]
fn assert_no_neighbour(log: &str, outputs: &[&str]) {
    let log = fs::read_to_string(log).expect("a log");
    for text in outputs.iter().chain([&log.as_str()]) {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}

#[test]
fn labels_of_options_and_variable_are_recorded_and_nothing_beside_them() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::oci_index(2));
    let log = cache.beside("log").display().to_string();
    let fetch = |more: &[&str], variable: Option<&str>| {
        let reference = format!("{}/app@{digest}", registry.address());
        let mut command = cache.command(["fetch", &reference, "--audit-log", &log]);
        command
            .arg("--tls-verify=false")
            .args(more)
            .envs(NEIGHBOURS);
        command.envs(variable.map(|value| ("SKOPEO_INDEX_LABELS", value)));
        let output = RunOutput::from(command.output().expect("the binary"));
        output.assert_status(0);
        assert_no_neighbour(&log, &[&output.stdout, &output.stderr]);
    };
    fetch(&["--label", "job=12", "--label=ref=a b=c"], None);
    fetch(&["--label", "job=12,ref=x"], None);
    fetch(&[], Some("job=13,url=https://ci.example/13?x=y"));
    // The command line takes precedence; an empty variable is unset.
    fetch(&["--label", "job=14"], Some("job=15,other=1"));
    fetch(&[], Some(""));
    let labels: Vec<_> = invocations(&log)
        .iter()
        .map(|invocation| invocation.get("labels").cloned())
        .collect();
    let expected = [
        Some(json!({ "job": "12", "ref": "a b=c" })),
        Some(json!({ "job": "12", "ref": "x" })),
        Some(json!({ "job": "13", "url": "https://ci.example/13?x=y" })),
        Some(json!({ "job": "14" })),
        None,
    ];
    assert_eq!(labels, expected);
    cache.run(["audit", "verify", &log]).assert_status(0);
}

#[test]
fn labels_of_the_service_are_recorded_and_nothing_beside_them() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(2));
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log").display().to_string();
    let host = Host::start_with(Version::V190, |service| {
        service
            .envs(NEIGHBOURS)
            .env("SKOPEO_INDEX_AUDIT_LOG", &log)
            .env("SKOPEO_INDEX_LABELS", "build=7,pipeline=os");
    });
    let answer = host.download(&items(registry.address(), [digest.as_str()]));
    assert_eq!(reply(&answer)["success"], true, "{answer}");
    let (_, stdout) = host.finish();
    assert_no_neighbour(&log, &[&answer.to_string(), &stdout]);
    let labels = json!({ "build": "7", "pipeline": "os" });
    assert_eq!(invocations(&log)[0]["labels"], labels);
}

#[test]
fn label_that_is_invalid_or_given_twice_is_a_usage_error() {
    let cache = Cache::new();
    let refused = |labels: &[&str], text: &str| {
        let labels: Vec<_> = labels.iter().flat_map(|label| ["--label", label]).collect();
        try_record(&cache, "log", 0..1, &labels)
            .assert_status(2)
            .assert_says(text);
    };
    refused(&["job"], "KEY=VALUE");
    refused(&["=x"], "a label's key");
    refused(&["a b=x"], "a label's key");
    refused(&["a=\u{e9}"], "a label's value");
    refused(&["a=b\nc"], "a label's value");
    refused(&[&format!("a={}", "v".repeat(256))], "a label's value");
    refused(&["a=1", "b=2", "a=1"], "label \"a\" is given twice");
    refused(&["a=1,a=2"], "label \"a\" is given twice");
    let many: Vec<_> = (0..33).map(|n| format!("k{n}=v")).collect();
    refused(&[&many.join(",")], "at most 32 labels");
    let without_log = ["fetch", "--offline", "a@b", "--label", "a=b"];
    cache
        .run(without_log)
        .assert_status(2)
        .assert_says("--audit-log");
    assert!(!cache.beside("log").exists(), "nothing was done");
    cache.assert_empty();
    let log = record(&cache, "log", 0..1, &["--label", &many[1..].join(",")]);
    let labels = &invocations(&log)[0]["labels"];
    assert_eq!(labels.as_object().map(serde_json::Map::len), Some(32));
}

#[test]
fn label_error_names_the_variable() {
    let cache = Cache::new();
    let mut command = cache.command(["fetch", "--offline", "--audit-log=log", "a@b"]);
    command.env("SKOPEO_INDEX_LABELS", "a=b,job 7=c");
    let output = RunOutput::from(command.output().expect("the binary"));
    output
        .assert_status(2)
        .assert_says("in SKOPEO_INDEX_LABELS: a label's key");
}

#[test]
fn show_has_who_host_labels_and_endpoint() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::oci_index(2));
    let log = cache.beside("log").display().to_string();
    let reference = format!("{}/app@{digest}", registry.address());
    let labels = ["--label", "job=12,ref=main"];
    for _ in 0..2 {
        let mut args = vec![&*reference, "--audit-log", &log];
        args.extend(labels);
        cache.fetch(&args).assert_status(0);
    }
    let shown = cache.run(["audit", "show", &log, "--format=json"]);
    let rows: Vec<Value> = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let endpoint = format!("http://{}", registry.address());
    assert_eq!(rows[0]["endpoint"], endpoint);
    assert_eq!(rows[1]["endpoint"], Value::Null, "a hit");
    assert_eq!(rows[0]["invocation"], invocations(&log)[0]);
    let name = |program: &str, arg: &str| {
        let output = Command::new(program).arg(arg).output().expect("a program");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let (host, user) = (name("uname", "-n"), name("id", "-run"));
    assert_eq!(rows[0]["invocation"]["host"], host);
    assert_eq!(rows[0]["invocation"]["user"], user);
    let table = cache.run(["audit", "show", &log]).stdout;
    for text in [&format!(" on {host} "), "job=12,ref=main", &user, &endpoint] {
        assert!(table.contains(text), "{text}: {table}");
    }
}
