//! The binary with a cache of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A cache, and the binary that uses it.
pub struct Cache {
    dir: TempDir,
}

impl Cache {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// A file beside the cache.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `skopeo-index` without what the environment of the tests may set.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
        command.args(args).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SKOPEO_INDEX_") {
                command.env_remove(name);
            }
        }
        command
            .env("SKOPEO_INDEX_CACHE", self.path())
            .env("SKOPEO_INDEX_RETRY_DELAY", "1ms");
        // No credentials but those that a test gives.
        command.env("REGISTRY_AUTH_FILE", self.beside("no-auth.json"));
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ended {
        ended(self.command(args).output().expect("the binary"))
    }

    /// `fetch --tls-verify=false`.
    pub fn fetch(&self, references: &[&str]) -> Ended {
        self.run(["fetch", "--tls-verify=false"].iter().chain(references))
    }

    pub fn object(&self, digest: &str) -> PathBuf {
        self.path().join(digest)
    }

    /// The names of all objects.
    pub fn objects(&self) -> Vec<String> {
        let mut names = names(&self.path());
        names.retain(|name| name != ".skopeo-index");
        names
    }

    /// Nothing is in staging.
    pub fn assert_no_leftover(&self) {
        let mut left = names(&self.path().join(".skopeo-index"));
        left.retain(|name| name.starts_with("staging"));
        assert_eq!(left, [""; 0], "left over");
    }

    /// Neither an object nor a leftover.
    pub fn assert_nothing_kept(&self) {
        assert_eq!(self.objects(), [""; 0], "objects");
        self.assert_no_leftover();
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What a run has left.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn ended(output: Output) -> Ended {
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
    }
}

impl Ended {
    #[track_caller]
    pub fn assert_status(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn assert_says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:#?}");
        self
    }
}

/// A command by way of another one.
pub fn through(wrapper: &[&str], inner: &Command) -> Command {
    let mut command = Command::new(wrapper[0]);
    command
        .args(&wrapper[1..])
        .arg(inner.get_program())
        .args(inner.get_args());
    command.stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}
