//! Misuse, signals, full disks.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use loopback::{Behaviour, Registry, samples};
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};
use skopeo_index::skopeo::Process;

use crate::harness::{Cache, Ended, ended};

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
    let program = Process::new("skopeo".into())
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

#[test]
fn a_signal_ends_it_and_its_children() {
    for signal in [Signal::INT, Signal::TERM] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, Behaviour::Silence);
        let reference = format!("{}/app@{digest}", registry.address());
        // Writes its process group, then becomes skopeo.
        let skopeo = cache.beside("skopeo");
        fs::write(
            &skopeo,
            "#!/bin/sh\necho $$ > \"$GROUP_FILE\"\nexec skopeo \"$@\"\n",
        )
        .expect("it");
        loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
        let mut command =
            cache.command(["fetch", "--tls-verify=false", "--progress=json", &reference]);
        command
            .arg("--skopeo")
            .arg(&skopeo)
            .env("GROUP_FILE", cache.beside("group"));
        let mut running = command
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
        let group = fs::read_to_string(cache.beside("group")).expect("skopeo was started");
        let group = Pid::from_raw(group.trim().parse().expect("a number")).expect("a process");
        assert!(
            test_kill_process_group(group).is_err(),
            "a child outlives it"
        );
        cache.assert_nothing_kept();
    }
}

#[test]
fn a_killed_run_leaves_nothing_that_the_next_does_not_sweep() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.behave_once(&digest, [Behaviour::Silence]);
    let reference = format!("{}/app@{digest}", registry.address());
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference]);
    let mut running = command.stderr(Stdio::null()).spawn().expect("the binary");
    wait_for_request(&registry, &digest, &mut running);
    running.kill().expect("it runs");
    running.wait().expect("its end");
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
fn a_full_disk_fails_the_fetch_and_leaves_nothing() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::of_size(1 << 20));
    let reference = format!("{}/app@{digest}", registry.address());
    fs::create_dir(cache.path()).expect("a directory");
    let dir = cache.path().display().to_string();
    loopback::run("mount", &["-t", "tmpfs", "-o", "size=512k", "tmpfs", &dir]);
    let ran = cache.fetch(&[&reference]);
    let left = cache.objects();
    loopback::run("umount", &[&dir]);
    ran.assert_status(1).assert_says("No space left on device");
    assert_eq!(left, [""; 0]);
}

#[test]
fn verify_tells_what_is_sound_corrupt_and_another_sources() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (sound, corrupt) = (
        registry.put(samples::empty()),
        registry.put(samples::nested()),
    );
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    let fetch = ["fetch", "--tls-verify=false", &of(&sound), &of(&corrupt)];
    let store = cache.beside("store");
    let in_store = |args: &[&str]| {
        let mut command = cache.command(args);
        command.arg("--store").arg(&store);
        ended(command.output().expect("the binary"))
    };
    in_store(&fetch).assert_status(0);
    let files = store.join("sources/org.osbuild.files");
    fs::write(files.join(&corrupt), "x").expect("the object");
    let other = loopback::digest(b"a package");
    fs::write(files.join(&other), "a package").expect("an object");
    fs::write(files.join("md5:1"), "x").expect("a file");

    let ran = in_store(&["verify"]);
    ran.assert_status(15);
    let sum = "1 sound, 1 corrupt, 0 missing, 0 unreadable, 1 not an index; 0 in quarantine";
    assert!(ran.stdout.contains(sum), "{ran:?}");
    assert!(!ran.stdout.contains(&other), "{ran:?}");
    let asked = in_store(&["verify", &other]);
    asked.assert_status(11);
    assert!(
        asked.stdout.contains(&format!("NOT AN INDEX\t{other}\t")),
        "{asked:?}"
    );
    in_store(&["verify", DIGEST]).assert_status(13);
    in_store(&["verify", "--quarantine", &corrupt]).assert_status(15);
    in_store(&["verify"]).assert_status(0);
    assert!(
        files.join("md5:1").exists(),
        "what isn't ours is left alone"
    );
}

#[test]
fn in_a_cache_of_our_own_everything_is_an_index() {
    let cache = Cache::new();
    fs::create_dir(cache.path()).expect("a directory");
    let other = loopback::digest(b"a package");
    fs::write(cache.object(&other), "a package").expect("an object");
    let ran = cache.run(["verify"]);
    ran.assert_status(11);
    assert!(
        ran.stdout.starts_with(&format!("NOT AN INDEX\t{other}\t")),
        "{ran:?}"
    );
}

#[test]
fn a_cache_that_is_not_there_is_not_sound() {
    let cache = Cache::new();
    cache
        .run(["verify"])
        .assert_status(13)
        .assert_says("there is no cache at ");
}

/// Nobody's files are unreadable to root, so that somebody else looks.
#[test]
fn verify_goes_on_after_what_it_cannot_read() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let mut digests = [samples::empty(), samples::nested()].map(|index| registry.put(index));
    digests.sort();
    let of = |digest: &String| format!("{}/app@{digest}", registry.address());
    let references = digests.each_ref().map(of);
    cache
        .fetch(&references.each_ref().map(String::as_str))
        .assert_status(0);
    let ours = cache.beside("skopeo-index");
    fs::copy(env!("CARGO_BIN_EXE_skopeo-index"), &ours).expect("a copy");
    for (path, mode) in [(cache.beside(""), 0o755), (cache.object(&digests[0]), 0)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    }
    let mut command = std::process::Command::new(ours);
    command.arg("verify").arg("--cache").arg(cache.path());
    if rustix::process::getuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let ran = ended(command.output().expect("the binary"));
    ran.assert_status(1);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(
        lines[0].starts_with(&format!("UNREADABLE\t{}\tcannot ", digests[0])),
        "{ran:?}"
    );
    assert_eq!(lines[1], format!("sound\t{}", digests[1]));
}

#[test]
fn nothing_of_an_osbuild_store_is_quarantined_unasked() {
    let cache = Cache::new();
    let mut command = cache.command(["verify", "--quarantine"]);
    command
        .env_remove("SKOPEO_INDEX_CACHE")
        .arg("--store")
        .arg(cache.beside("store"));
    ended(command.output().expect("the binary"))
        .assert_status(2)
        .assert_says("other sources");
}

#[test]
fn inspect_reads_a_cached_object_and_refuses_a_corrupt_one() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::docker_list(2));
    cache
        .fetch(&[&format!("{}/app@{digest}", registry.address())])
        .assert_status(0);
    let ran = cache.run(["inspect", &digest]);
    ran.assert_status(0);
    assert!(ran.stdout.contains("linux/arm64/v8"), "{ran:?}");
    fs::write(cache.object(&digest), "x").expect("the object");
    cache.run(["inspect", &digest]).assert_status(15);
    cache.run(["inspect", DIGEST]).assert_status(13);
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
fn inspect_says_what_it_cannot_read_and_why() {
    let cache = Cache::new();
    cache.run(["inspect", "no-such-file"]).assert_status(13);
    let dir = cache.beside("");
    let dir = dir.to_str().expect("UTF-8");
    cache.run(["inspect", dir]).assert_status(1);
    cache
        .run(["inspect", "sha256:ABC"])
        .assert_status(2)
        .assert_says("a digest has 64 hexadecimal digits, not 3");
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
    let ran = Process::new("skopeo".into());
    let named = format!("\"path\":\"{}\"", ran.program().display());
    assert!(told.contains(&named), "{told}");
}

/// `fetch --dry-run` of a reference, with some variables: what it would run.
fn would_run(args: &[&str], vars: &[(&str, &str)]) -> Ended {
    let mut command = Cache::new().command(["fetch", "--dry-run"]);
    command.args(args);
    for (name, value) in vars {
        command.env(format!("SKOPEO_INDEX_{name}"), value);
    }
    ended(command.output().expect("the binary"))
}

#[test]
fn a_variable_says_yes_and_no_in_many_ways_and_nothing_if_empty() {
    let reference = format!("localhost/app@{DIGEST}");
    let offline = |value| would_run(&[&reference], &[("OFFLINE", value)]);
    for (value, yes) in [("1", true), ("yes", true), ("on", true), ("TRUE", true)]
        .into_iter()
        .chain([("0", false), ("no", false), ("off", false), ("", false)])
    {
        let ran = offline(value);
        ran.assert_status(0);
        assert_eq!(ran.stdout.contains("inspect"), !yes, "{value:?}: {ran:?}");
    }
    offline("maybe")
        .assert_status(2)
        .assert_says("neither yes nor no");
    for name in ["QUIET", "DEBUG"] {
        would_run(&[&reference], &[(name, "")]).assert_status(0);
    }
    for (value, flag) in [
        ("yes", "--tls-verify=true"),
        ("0", "--tls-verify=false"),
        ("", ""),
    ] {
        let ran = would_run(&[&reference], &[("TLS_VERIFY", value)]);
        let command = format!("inspect --raw {flag} docker").replace("  ", " ");
        assert!(ran.stdout.contains(&command), "{value:?}: {ran:?}");
    }
}

#[test]
fn an_option_outweighs_the_environment() {
    let reference = format!("localhost/app@{DIGEST}");
    let source = |args: &[&str], vars: &[(&str, &str)]| {
        let ran = would_run(args, vars);
        ran.assert_status(0);
        let last = ran.stdout.trim_end().rsplit(' ').next();
        last.expect("a source").trim_matches('\'').to_owned()
    };
    let docker = format!("docker://{reference}");
    let storage = format!("containers-storage:[overlay@/x]{reference}");
    let (at_x, docker_var) = (("STORAGE_LOCATION", "/x"), ("TRANSPORT", "docker"));
    assert_eq!(source(&[&reference], &[at_x]), storage);
    assert_eq!(source(&[&docker], &[at_x]), docker);
    assert_eq!(source(&[&reference, "--transport=docker"], &[at_x]), docker);
    assert_eq!(source(&[&reference], &[at_x, docker_var]), docker);
    assert_eq!(
        source(&[&reference, "--storage-location=/x"], &[docker_var]),
        storage
    );
    would_run(
        &[&reference, "--storage-location=/x", "--transport=docker"],
        &[],
    )
    .assert_status(2)
    .assert_says("goes with the transport containers-storage");

    // A cache is in the environment of all these.
    let store = Cache::new().beside("store");
    let store = store.to_str().expect("UTF-8");
    would_run(&[&reference, "--store", store], &[]).assert_status(0);
    would_run(&[&reference, "--cache", store], &[("STORE", store)]).assert_status(0);
    for (args, vars) in [
        (vec!["--store", store, "--cache", store], vec![]),
        (vec![], vec![("STORE", store)]),
    ] {
        let args = [args, vec![&reference]].concat();
        would_run(&args, &vars)
            .assert_status(2)
            .assert_says("only one can be meant");
    }
}

#[test]
fn what_is_mistyped_by_far_is_refused() {
    let reference = format!("localhost/app@{DIGEST}");
    for (option, why) in [
        ("--command-timeout=2days", "a day at most"),
        ("--command-timeout=0s", "more than nothing"),
        ("--retry-delay=500000years", "a day at most"),
        ("--jobs=1001", "from 1 to 1000"),
        ("--jobs=0", "from 1 to 1000"),
        ("--deadline=0s", "more than nothing"),
    ] {
        would_run(&[option, &reference], &[])
            .assert_status(2)
            .assert_says(why);
    }
    let most = [
        "--command-timeout=1day",
        "--retry-delay=24h",
        "--jobs=1000",
        &reference,
    ];
    would_run(&most, &[]).assert_status(0);
    would_run(&["--deadline=500000years", &reference], &[]).assert_status(0);
}
