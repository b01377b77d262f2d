//! Limits of the process: size of files, open files, umask.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use test_support::loopback::samples;
use test_support::program::harness::wrap;

use crate::{Scene, finish};

/// Runs `setting` in the shell before the command.
fn with(setting: &str, command: &std::process::Command) -> std::process::Command {
    let script = format!("{setting}; exec \"$@\"");
    wrap(&["sh", "-c", &script, "sh"], command)
}

#[test]
fn object_beyond_the_file_size_limit_is_an_error() {
    let mut scene = Scene::new();
    scene.document = samples::oci_index(40);
    scene.write_skopeo("");
    assert!(scene.document.len() > 4096);
    // In units of 512 bytes.
    finish(&mut with("ulimit -f 4", &scene.fetch()))
        .assert_status(1)
        .assert_says("File too large");
    scene.cache.assert_empty();
}

#[test]
fn audit_log_beyond_the_file_size_limit_is_an_error() {
    let scene = Scene::new();
    let log = scene.cache.beside("log");
    let mut fetch = scene.fetch();
    fetch.arg("--audit-log").arg(&log);
    finish(&mut with("ulimit -f 1", &fetch))
        .assert_status(1)
        .assert_says("File too large");
    scene.cache.assert_empty();
    finish(&mut fetch).assert_status(0);
    let log = log.to_str().expect("UTF-8");
    scene.cache.run(["audit", "verify", log]).assert_status(0);
}

#[test]
fn few_open_files_lower_the_number_of_jobs() {
    let scene = Scene::new();
    let digests: Vec<_> = (0..20)
        .map(|n| {
            let document = samples::distinct(n);
            let digest = test_support::loopback::digest(&document);
            fs::write(scene.cache.beside(&digest), document).expect("a file");
            digest
        })
        .collect();
    let skopeo = format!(
        "for last; do :; done; cat {}/${{last##*@}}; exit",
        scene.cache.beside("").display()
    );
    scene.write_skopeo(&skopeo);
    let mut fetch = scene
        .cache
        .command(["fetch", "--retry-times=0", "-j32", "--skopeo"]);
    fetch
        .arg(scene.skopeo())
        .arg("--audit-log")
        .arg(scene.cache.beside("log"))
        .args(
            digests
                .iter()
                .map(|digest| format!("localhost/app@{digest}")),
        );
    for limit in [20, 32, 64] {
        finish(&mut with(&format!("ulimit -n {limit}"), &fetch)).assert_status(0);
        assert_eq!(scene.cache.objects().len(), digests.len());
        fs::remove_dir_all(scene.cache.path()).expect("a cache");
    }
}

#[test]
fn staging_deeper_than_the_open_files_limit_is_removed() {
    let scene = Scene::new();
    let chain = scene.cache.beside("chain");
    fs::create_dir(&chain).expect("a directory");
    let mut dir: OwnedFd = File::open(&chain).expect("a directory").into();
    for _ in 0..2000 {
        mkdirat(&dir, "d", Mode::RWXU).expect("a directory");
        dir = openat(&dir, "d", OFlags::DIRECTORY, Mode::empty()).expect("a directory");
    }
    scene.write_skopeo(&format!(
        "for arg; do case $arg in dir:*) mv {} ${{arg#dir:}}; esac; done; sleep 60",
        chain.display()
    ));
    let mut fetch = scene.fetch();
    fetch.arg("--method=copy");
    let output = finish(&mut with("ulimit -n 256", &fetch));
    assert!(!chain.exists(), "it was moved to staging");
    output.assert_says("too large: more than 64 entries copied");
    assert!(
        !output.stderr.contains("Too many open files"),
        "{output:#?}"
    );
    scene.cache.assert_no_staging();
}

#[test]
fn umask_that_takes_our_own_access_is_undone() {
    let scene = Scene::new();
    // Another user's, who can reach the binary: root has access without a mode.
    let everyone = fs::Permissions::from_mode(0o777);
    fs::set_permissions(scene.cache.beside(""), everyone).expect("a mode");
    let binary = scene.cache.beside("skopeo-index");
    fs::copy(test_support::program::binary(), &binary).expect("a copy");
    let cache = scene.cache.beside("new/deep");
    let setting = format!("umask 777; shift; set -- {} \"$@\"", binary.display());
    let mut fetch = with(&setting, &scene.fetch());
    fetch
        .env("SKOPEO_INDEX_CACHE", &cache)
        .env("SKOPEO_INDEX_AUDIT_LOG", scene.cache.beside("log"));
    if rustix::process::getuid().is_root() {
        fetch.uid(65534).gid(65534);
    }
    let object = cache.join(scene.digest());
    for _ in 0..3 {
        finish(&mut fetch).assert_status(0);
        // The next run takes the cache's lock.
        fs::write(&object, "corrupt").expect("the object");
    }
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&object), 0o644);
    assert_eq!(mode(&cache.join(".skopeo-index")), 0o700);
}
