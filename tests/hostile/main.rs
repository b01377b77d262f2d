//! What others can put in the way of a run: names in a cache, limits, locks, secrets in
//! answers, descendants that stay. A run ends, with the right exit status, and touches
//! nothing that isn't its own.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod limits;
mod names;
mod private_dirs;
mod processes;
mod secrets;
mod waits;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use skopeo_index::os::best_effort;
use test_support::loopback::{digest, run, samples};
use test_support::program::harness::{Cache, RunOutput};
use wait_timeout::ChildExt;

/// Longer than any run takes that doesn't hang.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a command to its end, which must come by itself.
#[track_caller]
fn finish(command: &mut Command) -> RunOutput {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    if child.wait_timeout(TIMEOUT).expect("a child").is_none() {
        best_effort(child.kill());
        panic!("it hangs: {command:?}");
    }
    child.wait_with_output().expect("its outputs").into()
}

/// A cache, and a skopeo that prints one index.
struct Scene {
    cache: Cache,
    document: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            cache: Cache::new(),
            document: samples::oci_index(3),
        };
        fs::create_dir(scene.cache.path()).expect("a directory");
        scene.write_skopeo("");
        scene
    }

    /// Writes a skopeo that runs `script` before it prints the index.
    fn write_skopeo(&self, script: &str) {
        let document = self.cache.beside("document");
        fs::write(&document, &self.document).expect("a file");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--version*) echo skopeo version 0; exit ;; esac\n\
             {script}\ncat {}\n",
            document.display()
        );
        fs::write(self.skopeo(), script).expect("a file");
        fs::set_permissions(self.skopeo(), fs::Permissions::from_mode(0o755)).expect("a file");
    }

    fn skopeo(&self) -> PathBuf {
        self.cache.beside("skopeo")
    }

    fn digest(&self) -> String {
        digest(&self.document)
    }

    fn object(&self) -> PathBuf {
        self.cache.object(&self.digest())
    }

    fn private(&self, name: &str) -> PathBuf {
        self.cache.path().join(".skopeo-index").join(name)
    }

    fn make_private(&self, name: &str) {
        fs::create_dir_all(self.private(name)).expect("a directory");
    }

    /// `fetch` of the index.
    fn fetch(&self) -> Command {
        let mut command = self.cache.command(["fetch", "--retry-times=0"]);
        command
            .arg("--skopeo")
            .arg(self.skopeo())
            .arg(format!("localhost/app@{}", self.digest()));
        command
    }

    #[track_caller]
    fn assert_fetched(&self) {
        assert_eq!(fs::read(self.object()).expect("the object"), self.document);
        self.cache.assert_no_staging();
    }
}

fn make_fifo(at: &Path) {
    run("mkfifo", &[at.to_str().expect("UTF-8")]);
}

/// A directory that isn't ours, with a file.
fn victim(cache: &Cache) -> PathBuf {
    let victim = cache.beside("victim");
    fs::create_dir_all(victim.join("staging-2026")).expect("a directory");
    fs::write(victim.join("staging-2026/data"), "data").expect("a file");
    victim
}

#[track_caller]
fn assert_untouched(victim: &Path) {
    let names = |dir: &Path| {
        let entries = fs::read_dir(dir).expect("a directory").flatten();
        entries.map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names(victim), ["staging-2026"]);
    assert_eq!(names(&victim.join("staging-2026")), ["data"]);
}
