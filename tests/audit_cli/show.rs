//! `audit show`, and the checkpoint in the summary of a run.

use std::fs;

use serde_json::{Value, json};
use test_support::loopback::{Registry, samples};
use test_support::program::binary;
use test_support::program::harness::Cache;
use test_support::program::host::{self, Host, Version};

/// A log of two runs: an index and an image, then a hit.
fn two_runs() -> (Cache, String, [String; 2]) {
    let (registry, cache) = (Registry::start(), Cache::new());
    let [index, image] = [
        registry.put(samples::oci_index(2)),
        registry.put(samples::single_image()),
    ];
    let log = cache.beside("log").display().to_string();
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&of(&index), &of(&image), "--audit-log", &log])
        .assert_status(11);
    cache
        .fetch(&[&of(&index), "--audit-log", &log])
        .assert_status(0);
    (cache, log, [index, image])
}

#[test]
fn show_filters_by_digest_run_and_failure() {
    let (cache, log, [index, image]) = two_runs();
    let show = |more: &[&str]| {
        let args = ["audit", "show", &log, "--format=json"];
        let output = cache.run(args.iter().chain(more));
        output.assert_status(0);
        let lines = output
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect::<Vec<Value>>()
    };
    let digests = |rows: &[Value]| -> Vec<String> {
        let digest = |row: &Value| row["digest"].as_str().expect("a digest").to_owned();
        rows.iter().map(digest).collect()
    };
    let all = show(&[]);
    assert_eq!(all.len(), 3);
    assert_eq!(digests(&show(&["--digest", &index])), [&*index, &*index]);
    assert_eq!(digests(&show(&["--failed"])), [image]);
    let last = all[2]["run"].as_str().expect("a run");
    assert_eq!(show(&["--run", last]), all[2..]);
    assert_eq!(show(&["--run", last, "--failed"]), [Value::Null; 0]);
}

#[test]
fn show_table_has_a_row_per_completed_fetch() {
    let (cache, log, [index, image]) = two_runs();
    let shown = cache.run(["audit", "show", &log, "--format=table"]);
    shown.assert_status(0);
    assert_eq!(cache.run(["audit", "show", &log]).stdout, shown.stdout);
    let lines: Vec<Vec<&str>> = shown
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let head = [
        "SEQ", "TIME", "OUTCOME", "DIGEST", "IMAGE", "ENGINE", "WHO", "LABELS", "HOW",
    ];
    assert_eq!(lines[0], head);
    let mut ended: Vec<_> = lines[1..].iter().map(|row| (row[2], row[3])).collect();
    ended.sort_unstable();
    let mut expected = [
        ("FAILED", &*image),
        ("committed", &*index),
        ("committed", &*index),
    ];
    expected.sort_unstable();
    assert_eq!(ended, expected);
}

#[test]
fn show_changed_or_torn_log_warns_and_lists_the_rest() {
    let (cache, log, _) = two_runs();
    let complete = fs::read_to_string(&log).expect("a log");
    let show = |bytes: &str| {
        fs::write(&log, bytes).expect("a log");
        cache.run(["audit", "show", &log])
    };
    let output = show(&complete.replacen("\"absent\"", "\"not-a-file\"", 1));
    output
        .assert_status(16)
        .assert_says("record 2: hash mismatch");
    assert!(output.stdout.lines().count() > 2, "{}", output.stdout);
    let output = show(&complete[..complete.len() - 7]);
    output
        .assert_status(17)
        .assert_says("the last line is torn");
    assert_eq!(output.stdout.lines().count(), 4);
}

#[test]
fn run_summary_has_the_checkpoint() {
    let (cache, log, _) = two_runs();
    let missing = format!(
        "localhost/app@{}",
        test_support::loopback::digest(b"missing")
    );
    let run = |more: &str| cache.fetch(&[&missing, "--offline", "--audit-log", &log, more]);
    let json = run("--progress=json");
    json.assert_status(13);
    let last: Value =
        serde_json::from_str(json.stderr.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["event"], "summary");
    let now = cache.run(["audit", "checkpoint", &log]);
    now.assert_status(0);
    assert_eq!(last["checkpoint"], now.stdout);
    assert!(!run("--quiet").stderr.contains("audit log "));
}

#[test]
fn copy_between_caches_is_shown_and_exported_as_such() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::oci_index(2));
    let log = cache.beside("log").display().to_string();
    let host = Host::start_with(Version::V190, |service| {
        service.env("SKOPEO_INDEX_AUDIT_LOG", &log);
    });
    let items = host::items(registry.address(), [digest.as_str()]);
    assert_eq!(host::reply(&host.download(&items))["success"], true);
    let mut args = host.arguments(&items);
    args["dst_cache"] = host.other_cache().to_str().into();
    assert_eq!(host::reply(&host.call("copy", &args))["success"], true);

    let last = |args: &[&str]| -> Value {
        let output = cache.run(args);
        output.assert_status(0);
        let line = output.stdout.lines().last().expect("a line");
        serde_json::from_str(line).expect("JSON")
    };
    let from = host.cache().join("org.osbuild.files");
    let shown = last(&["audit", "show", &log, "--format=json"]);
    let how = format!("copied from {}, SHA-256 = digest", from.display());
    assert_eq!(
        (&shown["how"], &shown["engine"]),
        (&how.into(), &"-".into())
    );
    let statement = last(&[
        "audit",
        "export",
        &log,
        "--in-toto",
        "--all",
        "--verifier-id",
        "https://example.com",
    ]);
    let uri = format!("file://{}/{digest}", from.display());
    assert_eq!(statement["predicate"]["resourceUri"], uri);
    assert_eq!(
        statement["predicate"]["verifier"]["version"].get("skopeo"),
        None
    );
}

#[test]
fn fetch_whose_run_spans_a_rotation_is_shown_and_exported_from_both_logs() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::oci_index(2));
    let log = cache.beside("log").display().to_string();
    let kept = format!("{log}.1");
    let verifier = format!("{} audit rotate {log}", binary().display());
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[
            &reference,
            "--engine=registry",
            "--origin=example.com/builds",
            "--audit-log",
            &log,
            "--verifier",
            &verifier,
        ])
        .assert_status(0);
    let shown = cache.run(["audit", "show", "--format=json", &kept, &log]);
    shown.assert_status(0);
    let row: Value = serde_json::from_str(&shown.stdout).expect("one row");
    assert_eq!((&row["digest"], &row["log"]), (&json!(digest), &json!(log)));
    let table = cache.run(["audit", "show", &kept, &log]).stdout;
    let seq = format!("{log}:{}", row["seq"]);
    assert!(table.contains(&seq), "{table}");
    for which in [&["--all"][..], &["--seq", &row["seq"].to_string()]] {
        let export = ["audit", "export", "--in-toto", &kept, &log];
        let exported = cache.run(export.iter().chain(which));
        exported.assert_status(0);
        let statement: Value = serde_json::from_str(&exported.stdout).expect("one statement");
        assert_eq!(statement["predicate"]["verificationResult"], "PASSED");
    }
    let left_out = "left out 1 fetch of runs that began in a rotated log";
    let alone = cache.run(["audit", "show", &log]);
    alone.assert_status(0).assert_says(left_out);
    let alone = cache.run(["audit", "export", "--in-toto", "--all", &log]);
    alone.assert_status(13).assert_says(left_out);
    let args = ["audit", "export", "--in-toto", "--all", &log, &kept];
    cache.run(args).assert_status(16);
}
