//! skopeo as a child process, with shell scripts in its place.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod identity;
mod limits;
mod process;
mod run_error;
mod storage;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use skopeo_index::command::{CommandLimits, RunError};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{CommandRunner, SkopeoBinary};
use skopeo_index_core::skopeo::{CommandOutput, SkopeoCommand, SkopeoOptions};
use test_support::program::fakes::never_cancelled;

/// More time than any script takes that ends on its own.
const LONG: Duration = Duration::from_secs(60);

/// A shell script named `skopeo`, in a directory of its own.
struct Script(tempfile::TempDir);

impl Script {
    fn new(text: &str) -> Self {
        let script = Self(tempfile::tempdir().expect("a directory"));
        // Another process writes it: while a child of this one has it open for writing,
        // exec fails with ETXTBSY.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#;
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", write]).arg(script.path()).arg(text);
        assert!(sh.status().expect("a shell").success());
        script
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("skopeo")
    }

    /// A file beside the script.
    fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs it as a command with these limits.
    fn run_command(
        &self,
        command: &SkopeoCommand<'_>,
        limits: &CommandLimits<'_>,
        cancel: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        SkopeoBinary::new(self.path()).run(command, &SkopeoOptions::default(), limits, cancel)
    }

    /// Runs it within this time.
    fn run(&self, timeout: Duration, cancel: &CancelToken) -> Result<CommandOutput, RunError> {
        let limits = CommandLimits {
            timeout,
            output_dir: None,
        };
        self.run_command(&SkopeoCommand::Version, &limits, cancel)
    }
}

fn run_script(text: &str) -> Result<CommandOutput, RunError> {
    Script::new(text).run(LONG, &never_cancelled())
}

/// Waits until the process has ended whose number is in a file.
fn wait_until_gone(pid_file: &Path) {
    let pid = fs::read_to_string(pid_file).expect("its number");
    let pid = pid.trim().parse().expect("a number");
    while !test_support::loopback::is_gone(pid) {
        std::thread::yield_now();
    }
}
