//! The binary with a cache of its own.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::{binary, names, staging_dirs};
use crate::schema;

/// A cache, and runs of the binary on it.
pub struct Cache {
    dir: TempDir,
}

impl Default for Cache {
    fn default() -> Self {
        Self::new()
    }
}

impl Cache {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("no-auth.json"), "{}").expect("a file");
        Self { dir }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// A file beside the cache.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `skopeo-index` without the variables of the tests' own environment.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binary());
        command.args(args).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SKOPEO_INDEX_") {
                command.env_remove(name);
            }
        }
        command
            .env("SKOPEO_INDEX_CACHE", self.path())
            .env("SKOPEO_INDEX_RETRY_DELAY", "1ms");
        command.env("SKOPEO_INDEX_ENGINE", engine());
        // Only the credentials that a test passes.
        command.env("REGISTRY_AUTH_FILE", self.beside("no-auth.json"));
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> RunOutput {
        self.command(args).output().expect("the binary").into()
    }

    /// `fetch --tls-verify=false`.
    pub fn fetch(&self, references: &[&str]) -> RunOutput {
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

    /// Asserts that no staging directory is left.
    #[track_caller]
    pub fn assert_no_staging(&self) {
        assert_eq!(staging_dirs(&self.path()), [""; 0], "staging directories");
    }

    /// Asserts that there is neither an object nor a staging directory.
    #[track_caller]
    pub fn assert_empty(&self) {
        assert_eq!(self.objects(), [""; 0], "objects");
        self.assert_no_staging();
    }
}

/// The engine of tests that don't choose one: skopeo, whose commands and messages most of
/// them look at, unless the suite is run with another.
pub fn engine() -> String {
    std::env::var("TEST_ENGINE").unwrap_or_else(|_| "skopeo".to_owned())
}

/// Exit status and outputs of a run.
#[derive(Debug)]
pub struct RunOutput {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for RunOutput {
    /// # Panics
    /// Where a line of JSON is valid by none of the schemas.
    fn from(output: Output) -> Self {
        let output = Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
        };
        let objects = [&output.stdout, &output.stderr].map(|text| schema::objects(text));
        let mut objects = objects.concat();
        // `inspect --raw` prints documents.
        objects.retain(|object| object.get("schemaVersion").is_none());
        if !objects.is_empty() {
            let invalid = schema::invalid(&[], &objects);
            assert!(invalid.is_empty(), "{invalid:#?}");
        }
        output
    }
}

impl RunOutput {
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

/// A command as the last arguments of another one, such as strace.
pub fn wrap(wrapper: &[&str], inner: &Command) -> Command {
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

/// Runs a command to its end; returns its peak resident memory in bytes as well.
pub fn run_with_peak_memory(command: &Command) -> (RunOutput, usize) {
    let script = "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]); \
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); \
                  sys.exit(status)";
    let output = wrap(&["python3", "-c", script], command).output();
    let output = RunOutput::from(output.expect("python3; `make setup` installs it"));
    let kibibytes = output.stderr.lines().last().map(str::parse::<usize>);
    let peak = kibibytes.expect("a line").expect("a number") << 10;
    (output, peak)
}
