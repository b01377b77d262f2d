//! The audit log of the binary.

use std::fs;
use std::process::{Command, Stdio};

use loopback::{Registry, samples};
use serde_json::Value;

use crate::harness::{Cache, ended};

#[test]
fn two_processes_write_one_log_at_once() {
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
        ended(process.wait_with_output().expect("its end")).assert_status(0);
    }
    let (log, dir) = (
        log.display().to_string(),
        cache.path().display().to_string(),
    );
    let ran = cache.run(["audit", "verify", &log, "--cache", &dir]);
    ran.assert_status(0);
    assert!(ran.stdout.ends_with(" 0 findings: sound\n"), "{ran:?}");
    assert_eq!(
        cache.run(["audit", "show", &log]).stdout.lines().count(),
        61
    );
}

#[test]
fn on_a_full_disk_nothing_is_committed_without_its_record_and_the_log_verifies() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let small = cache.beside("small");
    fs::create_dir(&small).expect("a directory");
    let small = small.display().to_string();
    loopback::run("mount", &["-t", "tmpfs", "-o", "size=16k", "tmpfs", &small]);
    let log = format!("{small}/log");
    let references: Vec<String> = (0..30)
        .map(|n| {
            format!(
                "{}/app@{}",
                registry.address(),
                registry.put(samples::distinct(n))
            )
        })
        .collect();
    let mut args: Vec<&str> = references.iter().map(String::as_str).collect();
    args.extend(["--audit-log", &log, "--jobs=2", "--format=json"]);
    let ran = cache.fetch(&args);
    let verified = cache.run(["audit", "verify", &log]);
    let shown = cache.run(["audit", "show", &log, "--format=json"]);
    // With room again, the log goes on.
    loopback::run("mount", &["-o", "remount,size=1m", &small]);
    let more = cache.fetch(&[&references[0], "--audit-log", &log]);
    let again = cache.run(["audit", "verify", &log]);
    loopback::run("umount", &[&small]);

    ran.assert_status(1).assert_says("No space left on device");
    assert!(
        [Some(0), Some(17)].contains(&verified.status),
        "{verified:?}"
    );
    more.assert_status(0);
    again.assert_status(0);
    let digests = |text: &str, wanted: fn(&Value) -> bool| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut digests: Vec<_> = lines
            .filter(wanted)
            .map(|line| line["digest"].as_str().expect("it").to_owned())
            .collect();
        digests.sort();
        digests
    };
    let succeeded = digests(&ran.stdout, |line| line["success"] == true);
    let recorded = digests(&shown.stdout, |line| line["outcome"] == "committed");
    assert!(!succeeded.is_empty() && succeeded.len() < references.len());
    assert_eq!(succeeded, recorded, "a success without its record");
}

#[test]
fn no_secret_is_in_the_log_or_in_any_output() {
    let (registry, cache) = (loopback::DockerRegistry::with_password(), Cache::new());
    let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let reference = format!("{}/app@{digest}", registry.address());
    let (log, auth) = (cache.beside("log"), cache.beside("auth.json"));
    // "alice:correct horse", and a wrong one.
    for (credentials, proxy) in [
        ("YWxpY2U6Y29ycmVjdCBob3JzZQ==", None),
        ("YWxpY2U6YmF0dGVyeSBzdGFwbGU=", None),
        (
            "YWxpY2U6Y29ycmVjdCBob3JzZQ==",
            Some("http://proxyuser:proxysecret@127.0.0.1:1"),
        ),
    ] {
        let auths = serde_json::json!({ "auths": { registry.address(): { "auth": credentials } } });
        fs::write(&auth, auths.to_string()).expect("a file");
        let mut command =
            cache.command(["fetch", "--tls-verify=false", "--debug", "--progress=json"]);
        command
            .arg("--audit-log")
            .arg(&log)
            .arg("--authfile")
            .arg(&auth);
        match proxy {
            None => command.arg(&reference),
            // Go sends what goes to 127.0.0.1 past any proxy.
            Some(proxy) => command
                .env("HTTP_PROXY", proxy)
                .env("HTTPS_PROXY", proxy)
                .arg(
                    reference
                        .replace("127.0.0.1", "registry.invalid")
                        .replace(&digest, &loopback::digest(b"x")),
                ),
        };
        let ran = ended(command.output().expect("the binary"));
        let recorded = fs::read_to_string(&log).expect("a log");
        for secret in [
            credentials,
            "correct horse",
            "battery staple",
            "proxysecret",
            "proxyuser",
        ] {
            for text in [&ran.stdout, &ran.stderr, &recorded] {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
        assert!(recorded.contains("auth.json"), "the path is recorded");
        let _expected_to_differ = fs::remove_file(cache.object(&digest));
    }
}

#[test]
fn an_export_is_an_in_toto_statement_for_successes_and_failures() {
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

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/statement.py");
    let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/target/python");
    let mut python = Command::new("python3");
    let ran = python
        .args([script, &to])
        .env("PYTHONPATH", packages)
        .output();
    let ran = ran.expect("python3 is not there; `make setup` installs it");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{errors}`make setup` installs in-toto-attestation"
    );
}

#[test]
fn what_has_become_of_committed_objects_is_told() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let log = cache.beside("log").display().to_string();
    let dir = cache.path().display().to_string();
    cache
        .fetch(&[
            &format!("{}/app@{digest}", registry.address()),
            "--audit-log",
            &log,
        ])
        .assert_status(0);
    let verify = || cache.run(["audit", "verify", &log, "--cache", &dir]);
    verify().assert_status(0);
    fs::write(cache.object(&digest), "x").expect("the object");
    verify().assert_status(15);
    fs::remove_file(cache.object(&digest)).expect("the object");
    verify().assert_status(15);
}

#[test]
fn a_changed_log_and_a_cut_one_have_their_own_status() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let log = cache.beside("log");
    let path = log.display().to_string();
    let reference = format!("{}/app@{digest}", registry.address());
    let ran = cache.fetch(&[&reference, "--audit-log", &path]);
    ran.assert_status(0).assert_says("audit log: skopeo-index/");
    let checkpoint = cache.beside("checkpoint");
    fs::write(
        &checkpoint,
        cache.run(["audit", "checkpoint", &path]).stdout,
    )
    .expect("a file");
    let checkpoint = checkpoint.display().to_string();
    let whole = fs::read_to_string(&log).expect("a log");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();

    fs::write(&log, lines[..lines.len() - 1].concat()).expect("a log");
    cache.run(["audit", "verify", &path]).assert_status(0);
    cache
        .run(["audit", "verify", &path, "--checkpoint", &checkpoint])
        .assert_status(17);
    fs::write(&log, whole.replacen("\"absent\"", "\"paused\"", 1)).expect("a log");
    let ran = cache.run(["audit", "verify", &path, "--format=json"]);
    ran.assert_status(16);
    assert!(ran.stdout.starts_with("{\"finding\":"), "{ran:?}");
    cache.run(["audit", "checkpoint", &path]).assert_status(16);
    cache
        .run(["audit", "export", &path, "--in-toto", "--all"])
        .assert_status(16);
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_run_before_anything_is_fetched() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference, "--audit-log", "/nowhere/log"])
        .assert_status(1)
        .assert_says("/nowhere/log");
    assert_eq!(registry.requests(&digest), 0);
    cache.assert_nothing_kept();
}

#[test]
fn one_record_is_proved_without_the_log() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let reference = format!(
        "{}/app@{}",
        registry.address(),
        registry.put(samples::empty())
    );
    let log = cache.beside("log").display().to_string();
    cache
        .fetch(&[&reference, "--audit-log", &log])
        .assert_status(0);
    let kept = |name: &str, args: &[&str]| {
        let ran = cache.run(["audit"].iter().chain(args));
        ran.assert_status(0);
        let file = cache.beside(name);
        fs::write(&file, ran.stdout).expect("a file");
        file.display().to_string()
    };
    let checkpoint = kept("checkpoint", &["checkpoint", &log]);
    let proof = kept("proof", &["prove", &log, "--seq", "2"]);
    let another = kept("another", &["prove", &log, "--seq", "3"]);
    cache
        .run(["audit", "prove", &log, "--seq", "1000"])
        .assert_status(13)
        .assert_says("no record 1000");
    fs::remove_file(&log).expect("the log");

    let check = ["audit", "verify", "--checkpoint", &checkpoint, "--proof"];
    let check = |proof: &str| cache.run(check.iter().chain(&[proof]));
    let told = check(&proof);
    told.assert_status(0);
    assert!(told.stdout.starts_with("record 2 of "), "{told:#?}");
    let read = |file: &str| -> Value {
        serde_json::from_slice(&fs::read(file).expect("a proof")).expect("JSON")
    };
    let mut forged = read(&proof);
    forged["record"] = read(&another)["record"].take();
    fs::write(&proof, forged.to_string()).expect("a file");
    check(&proof).assert_status(16);
}

#[test]
fn a_long_log_is_read_in_its_order_and_what_is_wrong_late_is_named() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let names = (0..6000).map(|n| format!("{}/app{n}@{digest}", registry.address()));
    let log = cache.beside("log");
    let mut command = cache.command(["fetch", "--tls-verify=false", "--quiet", "--audit-log"]);
    command.arg(&log).args(names);
    ended(command.output().expect("the binary")).assert_status(0);
    let path = log.display().to_string();
    let verify = || cache.run(["audit", "verify", &path]);
    let sound = verify();
    sound.assert_status(0);

    let mut bytes = fs::read(&log).expect("the log");
    assert!(bytes.len() > 4 << 20, "{}", bytes.len());
    let late = bytes.len() - 10_000;
    bytes[late] ^= 1;
    let record = bytes[..late].iter().filter(|byte| **byte == b'\n').count();
    fs::write(&log, bytes).expect("the log");
    let told = verify();
    told.assert_status(16);
    let first = told.stdout.lines().next().unwrap_or_default();
    assert!(
        first.contains(&format!("record {record}")),
        "{record}: {first}"
    );
}
