//! Misuse, signals, full disks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use test_support::loopback::{Behaviour, Registry, samples};
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};
use skopeo_index::skopeo::SkopeoBinary;

use crate::harness::Cache;
use crate::harness::ended;
use crate::harness::through;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn without_skopeo_it_says_how_to_get_it() {
    let cache = Cache::new();
    let reference = format!("localhost/app@{DIGEST}");
    let ran = cache.run(["fetch", "--skopeo", "no-such-skopeo", &reference]);
    ran.assert_status(1)
        .assert_says("no-such-skopeo")
        .assert_says("apt-get install skopeo");
    cache.assert_nothing_kept();
}

#[test]
fn a_skopeo_that_is_there_and_cannot_be_run_is_not_to_be_installed() {
    let cache = Cache::new();
    let skopeo = cache.beside("skopeo");
    fs::write(&skopeo, "not a program").expect("a file");
    let skopeo = skopeo.to_str().expect("UTF-8");
    let reference = format!("localhost/app@{DIGEST}");
    let ran = cache.run(["fetch", "--skopeo", skopeo, &reference]);
    ran.assert_status(1).assert_says("Permission denied");
    assert!(!ran.stderr.contains("install"), "{ran:?}");
}

#[test]
fn a_reference_without_a_digest_is_a_usage_error_with_a_hint() {
    Cache::new()
        .fetch(&["quay.io/app:latest"])
        .assert_status(2)
        .assert_says("skopeo-index resolve");
}

#[test]
fn every_bad_reference_is_told() {
    let ran = Cache::new().fetch(&["UPPER@sha256:1", "also bad"]);
    ran.assert_status(2)
        .assert_says("UPPER")
        .assert_says("also bad");
}

#[test]
fn nothing_to_fetch_is_a_usage_error() {
    Cache::new()
        .run(["fetch"])
        .assert_status(2)
        .assert_says("nothing to fetch");
}

#[test]
fn a_manifest_of_osbuild_is_read_from_stdin() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let name = format!("{}/app", registry.address());
    let manifest = serde_json::json!({ "version": "2", "pipelines": [], "sources": {
        "org.osbuild.curl": { "items": {} },
        "org.osbuild.skopeo-index": { "items": { &digest: { "image": { "name": name, "tls-verify": false } } } },
    } });
    let file = cache.beside("manifest.json");
    fs::write(&file, manifest.to_string()).expect("a file");
    let mut command = cache.command(["fetch", "--manifest", "-"]);
    let stdin = fs::File::open(file).expect("the file");
    ended(command.stdin(stdin).output().expect("the binary")).assert_status(0);
    assert_eq!(cache.objects(), [digest]);
}

#[test]
fn an_item_that_is_there_twice_is_refused() {
    let cache = Cache::new();
    let file = cache.beside("items.json");
    let item = format!(r#""{DIGEST}": {{"image": {{"name": "localhost/a"}}}}"#);
    fs::write(&file, format!("{{{item}, {item}}}")).expect("a file");
    let ran = cache.run(["fetch", "--manifest", file.to_str().expect("UTF-8")]);
    ran.assert_status(2).assert_says("twice");
}

#[test]
fn a_store_of_osbuild_has_the_object_where_osbuild_looks() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    let store = cache.beside("store");
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference]);
    command
        .env_remove("SKOPEO_INDEX_CACHE")
        .arg("--store")
        .arg(&store);
    ended(command.output().expect("the binary")).assert_status(0);
    assert!(
        store
            .join("sources/org.osbuild.files")
            .join(digest)
            .exists()
    );
}

#[test]
fn a_dry_run_changes_nothing_and_shows_the_commands() {
    let cache = Cache::new();
    let reference = format!("localhost/app@{DIGEST}");
    let shown = |args: &[&str]| {
        let ran = cache.fetch(&[args, &["--dry-run"]].concat());
        ran.assert_status(0);
        ran
    };
    let first = format!("missing\t{reference}\t");
    let program = SkopeoBinary::new("skopeo".into())
        .program()
        .display()
        .to_string();
    let skopeo = format!("{program} --command-timeout=125s");
    let raw = format!("{skopeo} inspect --raw --tls-verify=false docker://{reference}\n");
    assert_eq!(shown(&[&reference]).stdout, format!("{first}{raw}"));

    let at = ["--skopeo=/opt/my skopeo", "--method=copy", &reference];
    let skopeo = "'/opt/my skopeo' --command-timeout=125s";
    let commands = [
        format!(
            "copy --multi-arch=index-only --src-tls-verify=false docker://{reference} dir:STAGING"
        ),
        "inspect --raw dir:STAGING".to_owned(),
        "manifest-digest ./STAGING/manifest.json".to_owned(),
    ];
    let commands = commands.map(|command| format!("{skopeo} {command}"));
    assert_eq!(
        shown(&at).stdout,
        format!("{first}{}\n", commands.join(" && "))
    );

    let offline = shown(&["--offline", &reference]);
    assert_eq!(offline.stdout, format!("missing\t{reference}\n"));

    let tagged = format!("localhost/app:v1@{DIGEST}");
    shown(&[&tagged]).assert_says("the tag \"v1\" is dropped");
    let json = shown(&["--format=json", &reference]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["commands"][0][0], program);
    assert!(!cache.path().exists());
}

#[test]
fn offline_without_the_object_is_not_found() {
    let cache = Cache::new();
    let reference = format!("localhost/app@{DIGEST}");
    cache
        .fetch(&[&reference, "--offline"])
        .assert_status(13)
        .assert_says("offline");
    assert!(!cache.path().exists(), "nothing is made for nothing");
}

/// Waits until a run has asked the registry, which it has to live for.
fn wait_for_request(registry: &Registry, digest: &str, running: &mut Child) {
    while registry.requests(digest) == 0 {
        let ended = running.try_wait().expect("a child");
        assert!(ended.is_none(), "it never got so far: {ended:?}");
        std::thread::yield_now();
    }
}

/// Runs a skopeo that writes its number, which is its process group's.
fn tells_its_number<'c>(cache: &Cache, command: &'c mut Command) -> &'c mut Command {
    let skopeo = cache.beside("skopeo");
    let script = "#!/bin/sh\necho $$ > \"$NUMBER_FILE\"\nexec skopeo \"$@\"\n";
    fs::write(&skopeo, script).expect("it");
    test_support::loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
    command
        .arg("--skopeo")
        .arg(&skopeo)
        .env("NUMBER_FILE", cache.beside("number"))
}

fn skopeos_number(cache: &Cache) -> i32 {
    let number = fs::read_to_string(cache.beside("number")).expect("skopeo was started");
    number.trim().parse().expect("a number")
}

#[test]
fn a_signal_ends_it_and_its_children() {
    for signal in [Signal::INT, Signal::TERM] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, Behaviour::Silence);
        let reference = format!("{}/app@{digest}", registry.address());
        let mut command =
            cache.command(["fetch", "--tls-verify=false", "--progress=json", &reference]);
        let mut running = tells_its_number(&cache, &mut command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let mut stderr = BufReader::new(running.stderr.take().expect("stderr")).lines();
        let staged =
            stderr.find(|line| line.as_ref().is_ok_and(|l| l.contains(r#""to":"staged""#)));
        assert!(staged.is_some(), "it never got so far");
        // It is with skopeo once the registry has been asked.
        wait_for_request(&registry, &digest, &mut running);
        kill_process(Pid::from_child(&running), signal).expect("it runs");
        assert_eq!(running.wait().expect("its end").code(), Some(130));
        let stopped = stderr.find(|line| {
            line.as_ref()
                .is_ok_and(|l| l.contains(r#""event":"stopped""#))
        });
        let stopped = stopped.expect("it is told").expect("UTF-8");
        let told = format!(
            r#""error":"interrupted","event":"stopped","first":"{reference}","notFetched":1,"of":1"#
        );
        assert!(stopped.contains(&told), "{stopped}");
        let group = Pid::from_raw(skopeos_number(&cache)).expect("a process");
        assert!(
            test_kill_process_group(group).is_err(),
            "a child outlives it"
        );
        cache.assert_nothing_kept();
    }
}

#[test]
fn a_killed_run_takes_skopeo_with_it_and_leaves_nothing_that_the_next_does_not_sweep() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.behave_once(&digest, [Behaviour::Silence]);
    let reference = format!("{}/app@{digest}", registry.address());
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference]);
    let command = tells_its_number(&cache, &mut command);
    let mut running = command.stderr(Stdio::null()).spawn().expect("the binary");
    wait_for_request(&registry, &digest, &mut running);
    running.kill().expect("it runs");
    running.wait().expect("its end");
    let (skopeo, far) = (
        skopeos_number(&cache),
        Instant::now() + Duration::from_secs(60),
    );
    while !test_support::loopback::is_gone(skopeo) {
        assert!(Instant::now() < far, "skopeo lives on");
        std::thread::yield_now();
    }
    assert_eq!(
        cache
            .run(["verify", "--format=json"])
            .stdout
            .matches("staging-")
            .count(),
        1
    );
    cache.fetch(&[&reference]).assert_status(0);
    cache.assert_no_leftover();
}

#[test]
fn a_file_system_that_can_neither_rename_so_nor_link_is_told() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    let trace = cache.beside("trace").display().to_string();
    let strace = [
        "strace",
        "-qqfo",
        &trace,
        "-e",
        "inject=renameat2:error=EINVAL",
        "-e",
        "inject=linkat:error=EPERM",
    ];
    let fetch = cache.command(["fetch", "--tls-verify=false", &reference]);
    let ran = through(&strace, &fetch).output();
    ended(ran.expect("strace is not there"))
        .assert_status(1)
        .assert_says("cannot link ");
    cache.assert_nothing_kept();
}

#[test]
fn a_full_disk_fails_the_fetch_and_leaves_nothing() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::of_size(1 << 20));
    let reference = format!("{}/app@{digest}", registry.address());
    fs::create_dir(cache.path()).expect("a directory");
    let dir = cache.path().display().to_string();
    test_support::loopback::run("mount", &["-t", "tmpfs", "-o", "size=512k", "tmpfs", &dir]);
    let ran = cache.fetch(&[&reference]);
    let left = cache.objects();
    test_support::loopback::run("umount", &[&dir]);
    ran.assert_status(1).assert_says("No space left on device");
    assert_eq!(left, [""; 0]);
}

#[test]
fn every_shell_has_completions_and_every_command_a_page() {
    let cache = Cache::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let completions = cache.run(["completions", shell]);
        completions.assert_status(0);
        assert!(completions.stdout.contains("storage-location"), "{shell}");
    }
    let page = cache.run(["man"]).stdout;
    assert!(page.contains("skopeo\\-index\\-fetch(1)"), "{page}");
    for command in [
        "fetch",
        "resolve",
        "inspect",
        "verify",
        "audit",
        "states",
        "completions",
        "man",
    ] {
        let page = cache.run(["man", command]);
        page.assert_status(0);
        assert!(page.stdout.contains(".SH SYNOPSIS"), "{page:#?}");
    }
    cache
        .run(["man", "no-such-command"])
        .assert_status(2)
        .assert_says("no command \"no-such-command\"");
}

#[test]
fn the_skopeo_on_the_path_is_one_that_can_be_run_and_the_log_names_it() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let first = cache.beside("first");
    fs::create_dir(&first).expect("a directory");
    fs::write(first.join("skopeo"), "not to be run").expect("a file");
    let path = std::env::var("PATH").expect("a path");
    let (log, reference) = (
        cache.beside("log"),
        format!("{}/app@{digest}", registry.address()),
    );
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference, "--audit-log"]);
    command
        .arg(&log)
        .env("PATH", format!("{}:{path}", first.display()));
    ended(command.output().expect("the binary")).assert_status(0);
    let told = fs::read_to_string(&log).expect("the log");
    let ran = SkopeoBinary::new("skopeo".into());
    let named = format!("\"path\":\"{}\"", ran.program().display());
    assert!(told.contains(&named), "{told}");
}
