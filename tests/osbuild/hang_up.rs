//! The host hangs up: between calls, during a fetch, during the wait for a lock.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};
use serde_json::json;
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::host::{Answer, Host, Version, is_empty_dir, items};

/// Less than any wait of the service lasts by itself: 10 s for a lock.
const LIMIT: Duration = Duration::from_secs(8);

#[test]
fn hang_up_or_empty_packet_ends_the_service() {
    let host = Host::start(Version::V190);
    let (status, stdout) = host.finish();
    assert_eq!((status, stdout.as_str()), (Some(0), ""));
    let host = Host::start(Version::V190);
    host.send(b"", &[]);
    assert_eq!(host.receive(), Answer::Closed);
}

#[test]
fn hang_up_during_fetch_cancels_it_and_leaves_nothing() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(&digest, Behaviour::Silence);
    let dir = tempfile::tempdir().expect("a directory");
    let (skopeo, group) = (dir.path().join("skopeo"), dir.path().join("group"));
    fs::write(
        &skopeo,
        "#!/bin/sh\necho $$ > \"$GROUP_FILE\"\nexec skopeo \"$@\"\n",
    )
    .expect("a script");
    test_support::loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
    let mut host = Host::start_with(Version::V190, |command| {
        command
            .env("SKOPEO_INDEX_SKOPEO", &skopeo)
            .env("GROUP_FILE", &group);
    });
    let args = host.arguments(&items(registry.address(), [digest.as_str()]));
    let call = json!({ "type": "method", "data": { "name": "download", "args": args } });
    host.send(call.to_string().as_bytes(), &[]);
    while registry.requests(&digest) == 0 {
        std::thread::yield_now();
    }
    // The service ignores signals: the host hangs up to end it.
    for signal in [Signal::INT, Signal::TERM] {
        kill_process(Pid::from_child(&host.service), signal).expect("a running process");
    }
    host.hang_up();
    let hung_up = Instant::now();
    let status = host.service.wait().expect("an exit status");
    assert!(hung_up.elapsed() < LIMIT, "the host has to wait");
    assert_eq!(status.code(), Some(0));
    let group = fs::read_to_string(group).expect("skopeo was started");
    let group = Pid::from_raw(group.trim().parse().expect("a number")).expect("a process");
    assert!(
        test_kill_process_group(group).is_err(),
        "skopeo outlives the service"
    );
    assert!(!host.object(&digest).exists());
    let private = host.cache().join("org.osbuild.files/.skopeo-index");
    assert!(is_empty_dir(&private), "staging directories are left");
}

#[test]
fn hang_up_cancels_the_wait_for_a_lock() {
    let digest = test_support::loopback::digest(&samples::empty());
    let mut host = Host::start(Version::V190);
    let private = host.cache().join("org.osbuild.files/.skopeo-index");
    fs::create_dir_all(&private).expect("a directory");
    fs::write(host.object(&digest), "corrupt").expect("an object");
    let lock = fs::File::create(private.join("lock")).expect("a file");
    lock.lock().expect("a free lock");
    let args = host.arguments(&items("localhost", [digest.as_str()]));
    let call = json!({ "type": "method", "data": { "name": "download", "args": args } });
    host.send(call.to_string().as_bytes(), &[]);
    let lock = fs::canonicalize(private.join("lock")).expect("a path");
    let fds = format!("/proc/{}/fd", host.service.id());
    let is_waiting = || {
        let fds = fs::read_dir(&fds).into_iter().flatten().flatten();
        fds.map(|fd| fs::read_link(fd.path()))
            .any(|to| to.is_ok_and(|to| to == lock))
    };
    while !is_waiting() {
        std::thread::yield_now();
    }
    host.hang_up();
    let hung_up = Instant::now();
    assert_eq!(host.service.wait().expect("an exit status").code(), Some(0));
    assert!(hung_up.elapsed() < LIMIT, "the host has to wait");
}
