//! Waits that others can prolong: locks, devices, pipes, a second signal.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use test_support::program::harness::wrap;
use test_support::program::host::{Host, Version, exception, reply};

use crate::{Scene, finish, make_fifo};

#[test]
fn audit_log_locked_by_another_process_ends_at_the_deadline() {
    let scene = Scene::new();
    let log = scene.cache.beside("log");
    let mut fetch = scene.fetch();
    fetch.arg("--audit-log").arg(&log).arg("--deadline=1s");
    finish(&mut fetch).assert_status(0);
    let other = File::open(&log).expect("a log");
    other.lock_shared().expect("a lock");
    let started = Instant::now();
    finish(&mut fetch)
        .assert_status(124)
        .assert_says("locked by another process");
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[test]
fn audit_log_locked_during_the_run_ends_at_the_deadline() {
    let scene = Scene::new();
    let log = scene.cache.beside("log");
    // The run has begun when skopeo runs.
    let lock = format!(
        "setsid flock -s {} sleep 20 >/dev/null 2>&1 &\nsleep 0.3",
        log.display()
    );
    scene.write_skopeo(&lock);
    let mut fetch = scene.fetch();
    fetch.arg("--audit-log").arg(&log).arg("--deadline=2s");
    finish(&mut fetch).assert_status(124);
    scene.cache.assert_empty();
}

#[test]
fn audit_log_behind_a_link_is_synced_where_it_is() {
    let scene = Scene::new();
    let (real, link) = (scene.cache.beside("real/deep"), scene.cache.beside("link"));
    fs::create_dir_all(&real).expect("a directory");
    symlink(&real, &link).expect("a link");
    let trace = scene.cache.beside("trace");
    let mut fetch = scene.fetch();
    fetch.arg("--audit-log").arg(link.join("log"));
    let strace = ["strace", "-qq", "-y", "-e", "trace=fsync", "-o"];
    let strace = [&strace[..], &[trace.to_str().expect("UTF-8")]].concat();
    finish(&mut wrap(&strace, &fetch)).assert_status(0);
    let trace = fs::read_to_string(trace).expect("the output of strace");
    let (parent, above) = (real.parent().expect("real"), scene.cache.beside(""));
    let above = above.to_str().expect("UTF-8").trim_end_matches('/');
    for dir in [
        &*real.display().to_string(),
        &*parent.display().to_string(),
        above,
    ] {
        assert!(trace.contains(&format!("<{dir}>)")), "{dir} in {trace}");
    }
}

#[test]
fn skopeo_that_is_a_pipe_or_a_device_is_an_error() {
    let scene = Scene::new();
    let fifo = scene.cache.beside("fifo");
    make_fifo(&fifo);
    fs::set_permissions(&fifo, fs::Permissions::from_mode(0o755)).expect("a mode");
    let reference = format!("localhost/app@{}", scene.digest());
    for skopeo in [fifo.to_str().expect("UTF-8"), "/dev/zero"] {
        let mut fetch = scene.cache.command(["fetch", "--deadline=20s", &reference]);
        fetch
            .args(["--skopeo", skopeo, "--audit-log"])
            .arg(scene.cache.beside("log"));
        finish(&mut fetch).assert_status(1);
    }
}

#[test]
fn audit_commands_and_manifest_on_a_named_pipe_are_an_error() {
    let scene = Scene::new();
    let fifo = scene.cache.beside("fifo");
    make_fifo(&fifo);
    let fifo = fifo.to_str().expect("UTF-8");
    for command in ["verify", "show", "checkpoint"] {
        finish(&mut scene.cache.command(["audit", command, fifo]))
            .assert_status(1)
            .assert_says("not a regular file");
    }
    finish(
        &mut scene
            .cache
            .command(["fetch", "--audit-log", fifo, "x@sha256:00"]),
    );
}

#[test]
fn service_given_a_device_or_a_pipe_answers_with_an_error() {
    let host = Host::start(Version::V190);
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo");
    make_fifo(&fifo);
    let open = |path: &str| File::options().read(true).write(true).open(path);
    let files = [
        // Reading waits for the kernel's next message; only root can open it.
        File::open("/proc/kmsg"),
        open(fifo.to_str().expect("UTF-8")),
        open("/dev/zero"),
        File::open(dir.path()),
    ];
    for file in files.into_iter().flatten() {
        host.send(b"<args-via-fd>", &[file.as_fd()]);
        exception(&host.answer());
    }
    assert_eq!(
        reply(&host.download(&serde_json::json!({})))["success"],
        true
    );
}
