//! The files in `examples/` that are not Rust: each is read by the program that it is for,
//! and its commands are run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use test_support::loopback::{Registry, samples};
use test_support::program::binary;
use test_support::program::harness::Cache;

/// Prints the scripts of a YAML file as JSON: values of `script` and `run`.
const SCRIPTS: &str = r#"
import json, sys, yaml
def scripts(node):
    if isinstance(node, list):
        return [script for item in node for script in scripts(item)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("script", "run") if key in node]
    own = [script if isinstance(script, str) else "\n".join(script) for script in own]
    return own + scripts(list(node.values()))
print(json.dumps(scripts(yaml.safe_load(open(sys.argv[1])))))
"#;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// A command in the cache's directory that finds the binary under test on its PATH.
fn command(cache: &Cache, program: &str) -> Command {
    let bin = binary();
    let path = std::env::var("PATH").expect("PATH");
    let path = format!("{}:{path}", bin.parent().expect("a directory").display());
    let mut command = cache.command([""; 0]);
    // The harness's variables, for another program.
    let variables: Vec<_> = command
        .get_envs()
        .map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned)))
        .collect();
    command = Command::new(program);
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .env("PATH", path)
        .env("SKOPEO_INDEX_TLS_VERIFY", "false")
        .current_dir(cache.beside("."));
    command
}

#[track_caller]
fn assert_success(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn scripts(file: &Path) -> Vec<String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python");
    let output = Command::new("python3")
        .env("PYTHONPATH", python)
        .args(["-c", SCRIPTS])
        .arg(file)
        .output();
    let scripts = assert_success(&output.expect("python3: run `make setup`"));
    serde_json::from_str(&scripts).expect("a list of scripts")
}

/// Runs each CI example for a manifest with these items, checks the log that it keeps against
/// its checkpoint, and returns its statements.
fn run_ci_examples(items: &Value, status: i32) -> Vec<(Cache, Vec<Value>)> {
    let manifest = json!({ "sources": { "org.osbuild.skopeo-index": { "items": items } } });
    let run = |file: &str| {
        let cache = Cache::new();
        fs::write(cache.beside("manifest.json"), manifest.to_string()).expect("a file");
        let scripts = scripts(&example("ci").join(file));
        assert_eq!(scripts.len(), 1, "{file}: {scripts:?}");
        let mut sh = command(&cache, "sh");
        sh.args(["-euc", &scripts[0]])
            .env("MANIFEST", "manifest.json")
            .env("AUTH", "")
            .env("CHECKPOINT", "fetch.checkpoint")
            .env("VERIFIER_ID", "https://ci.example.com/builds")
            .env("SKOPEO_INDEX_CACHE", "indexes")
            .env("SKOPEO_INDEX_AUDIT_LOG", "fetch.log");
        let output = sh.output().expect("sh");
        assert_eq!(output.status.code(), Some(status), "{file}: {output:?}");
        let (log, checkpoint) = (cache.beside("fetch.log"), cache.beside("fetch.checkpoint"));
        let verified = command(&cache, "skopeo-index")
            .args(["audit", "verify", "--checkpoint"])
            .args([checkpoint, log])
            .output();
        assert_success(&verified.expect("the binary"));
        let statements = fs::read_to_string(cache.beside("statements.jsonl")).expect("a file");
        let statements = statements.lines().map(serde_json::from_str);
        let statements = statements.map(|it| it.expect("a statement"));
        let statements: Vec<Value> = statements.collect();
        (cache, statements)
    };
    let files = ["github-workflow.yml", "gitlab-ci.yml", "tekton-task.yaml"];
    files.into_iter().map(run).collect()
}

#[test]
fn ci_examples_fetch_verify_and_export_the_indexes_of_a_manifest() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(2));
    let item = json!({ "image": { "name": format!("{}/app", registry.address()) } });
    for (cache, statements) in run_ci_examples(&json!({ &digest: item }), 0) {
        assert!(cache.beside("indexes").join(&digest).exists());
        let [statement] = &statements[..] else {
            panic!("{statements:?}")
        };
        let found = statement["subject"][0]["digest"]["sha256"].as_str();
        assert_eq!(found, digest.strip_prefix("sha256:"), "{statement}");
    }
}

#[test]
fn ci_examples_keep_the_evidence_of_a_failed_fetch_and_fail() {
    let registry = Registry::start();
    let digest = test_support::loopback::digest(b"requested");
    registry.put_as(&digest, samples::oci_index(2));
    let item = json!({ "image": { "name": format!("{}/app", registry.address()) } });
    for (_, statements) in run_ci_examples(&json!({ &digest: item }), 10) {
        let [statement] = &statements[..] else {
            panic!("{statements:?}")
        };
        let verdict = &statement["predicate"]["verificationResult"];
        assert_eq!(verdict, "FAILED", "{statement}");
    }
    let missing = test_support::loopback::digest(b"missing");
    for (_, statements) in run_ci_examples(&json!({ &missing: item }), 13) {
        assert!(statements.is_empty(), "{statements:?}");
    }
}

#[test]
fn ci_examples_succeed_for_a_manifest_without_an_index() {
    for (_, statements) in run_ci_examples(&json!({}), 0) {
        assert!(statements.is_empty(), "{statements:?}");
    }
}

/// A log that has a failed fetch, in the directory `log` beside the cache.
fn log(cache: &Cache) -> PathBuf {
    let dir = cache.beside("log");
    fs::create_dir_all(&dir).expect("a directory");
    let log = dir.join("fetch.log");
    let reference = format!(
        "localhost/app@{}",
        test_support::loopback::digest(b"missing")
    );
    let fetched = command(cache, "skopeo-index")
        .args(["fetch", "--offline", &reference, "--audit-log"])
        .arg(&log)
        .output();
    assert_eq!(fetched.expect("the binary").status.code(), Some(13));
    log
}

/// An example for the log's directory instead of the system's.
fn text_for(cache: &Cache, name: &str) -> String {
    let text = fs::read_to_string(example(name)).expect("an example");
    assert!(text.contains("/var/log/skopeo-index"), "{text}");
    text.replace(
        "/var/log/skopeo-index",
        &cache.beside("log").display().to_string(),
    )
}

/// Runs logrotate on the example, after the defaults that distributions set.
fn rotate(cache: &Cache) {
    assert_success(&try_rotate(cache));
}

fn try_rotate(cache: &Cache) -> Output {
    let config = cache.beside("logrotate.conf");
    let text = text_for(cache, "logrotate/skopeo-index");
    fs::write(
        &config,
        format!("weekly\nrotate 4\ncreate\ndateext\ncompress\n{text}"),
    )
    .expect("a file");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).expect("a mode");
    let output = command(cache, "logrotate")
        .args(["--force", "--state"])
        .args([cache.beside("logrotate.state"), config])
        .output();
    output.expect("logrotate: run `make setup`")
}

#[test]
fn logrotate_example_keeps_the_checkpoint_where_a_rotation_fails() {
    let cache = Cache::new();
    let log_file = log(&cache);
    rotate(&cache);
    let checkpoint = || fs::read_to_string(cache.beside("log/fetch.log.checkpoint"));
    let saved = checkpoint().expect("a checkpoint");
    fs::write(&log_file, "not a log\n").expect("a file");
    assert!(!try_rotate(&cache).status.success());
    assert_eq!(checkpoint().expect("a checkpoint"), saved);
}

#[test]
fn logrotate_example_rotates_a_log_that_verifies_across_rotations() {
    let cache = Cache::new();
    let log_file = log(&cache);
    // A name that logrotate would give itself: it stays as it is.
    let other = cache.beside("log/fetch.log.1");
    fs::write(&other, "kept").expect("a file");
    rotate(&cache);
    log(&cache);
    let dir = log_file.parent().expect("a directory");
    let kept = || {
        let files = fs::read_dir(dir).expect("a directory").flatten();
        let kept = files.map(|file| file.path());
        let kept = kept.filter(|path| path.to_string_lossy().ends_with('Z'));
        kept.collect::<Vec<_>>()
    };
    assert_eq!(kept().len(), 1);
    let verified = command(&cache, "skopeo-index")
        .args(["audit", "verify", "--checkpoint"])
        .arg(dir.join("fetch.log.checkpoint"))
        .args(kept())
        .arg(&log_file)
        .output();
    assert_success(&verified.expect("the binary"));
}

/// The command of the unit, as systemd runs it: with one `$` for two.
fn verify_by_unit(cache: &Cache) -> Output {
    let unit = text_for(cache, "systemd/skopeo-index-verify.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/bin/sh -ec '"));
    let script = start
        .and_then(|line| line.strip_suffix('\''))
        .expect("a command");
    let mut sh = command(cache, "sh");
    sh.args(["-ec", &script.replace("$$", "$")])
        .current_dir(cache.beside("log"));
    sh.output().expect("sh")
}

#[test]
fn systemd_unit_verifies_the_log_before_and_after_rotation() {
    let cache = Cache::new();
    let log_file = log(&cache);
    assert_success(&verify_by_unit(&cache));
    rotate(&cache);
    let output = verify_by_unit(&cache);
    assert_success(&output);
    let found = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!found.contains("predecessor"), "{found}");
    let text = fs::read_to_string(&log_file).expect("a file");
    let changed = text.replacen("\"seq\":0", "\"seq\":7", 1);
    assert_ne!(changed, text);
    fs::write(log_file, changed).expect("a file");
    assert_eq!(verify_by_unit(&cache).status.code(), Some(16));
}

#[test]
fn systemd_unit_fails_where_the_log_was_removed_after_a_rotation() {
    let cache = Cache::new();
    let log_file = log(&cache);
    rotate(&cache);
    fs::remove_file(log_file).expect("a file");
    let unit = text_for(&cache, "systemd/skopeo-index-verify.service");
    let mut lines = unit.lines();
    // systemd skips a unit whose condition fails, and reports no failure.
    let skipped = lines.any(|line| match line.strip_prefix("ConditionPathExists=") {
        Some(path) => !Path::new(path).exists(),
        None => false,
    });
    assert!(!skipped, "{unit}");
    assert_eq!(verify_by_unit(&cache).status.code(), Some(13));
}

#[test]
fn systemd_units_are_accepted_by_systemd() {
    let units =
        ["service", "timer"].map(|kind| example(&format!("systemd/skopeo-index-verify.{kind}")));
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(units)
        .output();
    // Containers have none.
    let Ok(output) = output else { return };
    assert_success(&output);
    assert!(output.stderr.is_empty(), "{output:?}");
}
