//! `audit export`.

use std::fs;
use std::process::Command;

use serde_json::Value;
use test_support::loopback::{Registry, samples};
use test_support::program::harness::Cache;

#[test]
fn export_writes_valid_in_toto_statements_of_successes_and_failures() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (index, image) = (
        registry.put(samples::oci_index(2)),
        registry.put(samples::single_image()),
    );
    let log = cache.beside("log").display().to_string();
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&of(&index), &of(&image), "--audit-log", &log])
        .assert_status(11);
    let to = cache.beside("statements").display().to_string();
    cache
        .run(["audit", "export", &log, "--in-toto", "--all", "-o", &to])
        .assert_status(0);
    let statements = fs::read_to_string(&to).expect("statements");
    let mut results: Vec<(String, String)> = statements
        .lines()
        .map(|line| {
            let statement: Value = serde_json::from_str(line).expect("JSON");
            let digest = statement["subject"][0]["digest"]["sha256"]
                .as_str()
                .expect("a digest")
                .to_owned();
            (
                digest,
                statement["predicate"]["verificationResult"]
                    .as_str()
                    .expect("a result")
                    .to_owned(),
            )
        })
        .collect();
    results.sort();
    let mut expected = [(&index[7..], "PASSED"), (&image[7..], "FAILED")]
        .map(|(d, r)| (d.to_owned(), r.to_owned()));
    expected.sort();
    assert_eq!(results, expected);

    let one = cache.run(["audit", "export", &log, "--in-toto", "--digest", &index]);
    assert_eq!(one.stdout.lines().count(), 1);
    cache
        .run(["audit", "export", &log, "--in-toto"])
        .assert_status(2);
    cache
        .run(["audit", "export", &log, "--in-toto", "--seq", "0"])
        .assert_status(13);

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit_cli/statement.py");
    let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/target/python");
    let mut python = Command::new("python3");
    let output = python
        .args([script, &to])
        .env("PYTHONPATH", packages)
        .output();
    let output = output.expect("python3; `make setup` installs it");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{errors}`make setup` installs in-toto-attestation"
    );
}

#[test]
fn export_replaces_output_file_atomically() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let log = cache.beside("log").display().to_string();
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference, "--audit-log", &log])
        .assert_status(0);
    let dir = cache.beside("out");
    fs::create_dir(&dir).expect("a directory");
    let to = dir.join("statements");
    fs::write(&to, "before").expect("a file");
    let path = to.display().to_string();
    let export =
        |log: &str, to: &str| cache.run(["audit", "export", log, "--in-toto", "--all", "-o", to]);
    let entries = || fs::read_dir(&dir).expect("a directory").count();

    let whole = fs::read(&log).expect("a log");
    fs::write(&log, &whole[..whole.len() - 1]).expect("a log");
    export(&log, &path).assert_status(17);
    let content = fs::read_to_string(&to).expect("a file");
    assert_eq!((content.as_str(), entries()), ("before", 1));

    fs::write(&log, &whole).expect("a log");
    export(&log, &log)
        .assert_status(2)
        .assert_says("this is the log itself");
    export(&log, "/dev/null")
        .assert_status(2)
        .assert_says("not a regular file");
    assert_eq!(fs::read(&log).expect("a log"), whole);
    export(&log, &path).assert_status(0);
    let content = fs::read_to_string(&to).expect("a file");
    assert!(content.contains("PASSED"), "{content}");
    assert_eq!(entries(), 1);
}
