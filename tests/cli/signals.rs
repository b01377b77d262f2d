//! SIGINT, SIGTERM and SIGKILL.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::Cache;

/// Waits for the first request for a digest, while the run is alive.
fn wait_for_request(registry: &Registry, digest: &str, running: &mut Child) {
    while registry.requests(digest) == 0 {
        let ended = running.try_wait().expect("a child");
        assert!(
            ended.is_none(),
            "the run ended without a request: {ended:?}"
        );
        std::thread::yield_now();
    }
}

/// Sets a skopeo that writes its process ID, which is also its process group, to a file.
fn with_pid_file<'c>(cache: &Cache, command: &'c mut Command) -> &'c mut Command {
    let skopeo = cache.beside("skopeo");
    let script = "#!/bin/sh\necho $$ > \"$PID_FILE\"\nexec skopeo \"$@\"\n";
    fs::write(&skopeo, script).expect("a file");
    test_support::loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
    command
        .arg("--skopeo")
        .arg(&skopeo)
        .env("PID_FILE", cache.beside("pid"))
}

fn skopeo_pid(cache: &Cache) -> i32 {
    let pid = fs::read_to_string(cache.beside("pid")).expect("skopeo was started");
    pid.trim().parse().expect("a number")
}

#[test]
fn signal_and_its_duplicates_cancel_fetch_and_kill_skopeo() {
    for signals in [
        &[Signal::INT][..],
        &[Signal::TERM],
        // timeout(1) sends one to the process and one to its group.
        &[Signal::TERM, Signal::TERM],
        &[Signal::TERM, Signal::INT],
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, Behaviour::Silence);
        let reference = format!("{}/app@{digest}", registry.address());
        let mut command =
            cache.command(["fetch", "--tls-verify=false", "--progress=json", &reference]);
        let mut running = with_pid_file(&cache, &mut command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let mut stderr = BufReader::new(running.stderr.take().expect("stderr")).lines();
        let staged =
            stderr.find(|line| line.as_ref().is_ok_and(|l| l.contains(r#""to":"staged""#)));
        assert!(staged.is_some(), "the fetch was not staged");
        // skopeo runs once the registry has a request.
        wait_for_request(&registry, &digest, &mut running);
        for signal in signals {
            kill_process(Pid::from_child(&running), *signal).expect("a running process");
        }
        assert_eq!(running.wait().expect("an exit status").code(), Some(130));
        let cancelled = stderr.find(|line| {
            line.as_ref()
                .is_ok_and(|l| l.contains(r#""event":"cancelled""#))
        });
        let cancelled = cancelled.expect("an event").expect("UTF-8");
        let expected = format!(
            r#""error":"interrupted","event":"cancelled","first":"{reference}","notFetched":1,"of":1"#
        );
        assert!(cancelled.contains(&expected), "{cancelled}");
        let summary = stderr.last().expect("an event").expect("UTF-8");
        assert!(
            summary.contains(r#""failed":0,"fetched":0,"milliseconds":"#)
                && summary.contains(r#""notFetched":1"#),
            "{summary}"
        );
        let group = Pid::from_raw(skopeo_pid(&cache)).expect("a process");
        assert!(
            test_kill_process_group(group).is_err(),
            "skopeo outlives the run"
        );
        cache.assert_empty();
    }
}

#[test]
fn sigkill_ends_skopeo_and_next_run_sweeps_stale_staging() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.behave_once(&digest, [Behaviour::Silence]);
    let reference = format!("{}/app@{digest}", registry.address());
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference]);
    let command = with_pid_file(&cache, &mut command);
    let mut running = command.stderr(Stdio::null()).spawn().expect("the binary");
    wait_for_request(&registry, &digest, &mut running);
    running.kill().expect("a running process");
    running.wait().expect("an exit status");
    let (skopeo, deadline) = (skopeo_pid(&cache), Instant::now() + Duration::from_secs(60));
    while !test_support::loopback::is_gone(skopeo) {
        assert!(Instant::now() < deadline, "skopeo outlives the run");
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
    cache.assert_no_staging();
}
