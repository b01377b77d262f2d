//! The audit log of the binary: `--audit-log` and `skopeo-index audit`.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

mod disk_faults;
mod export;
mod labels;
mod notes;
mod objects;
mod origin;
mod prove;
mod recovery;
mod rotation;
mod secrets;
mod show;
mod tiles;
mod verify;
mod writing;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use test_support::program::harness::{Cache, RunOutput};

/// Records a run that looks for these names in the cache alone, and finds none of them.
fn try_record(cache: &Cache, log: &str, names: Range<usize>, more: &[&str]) -> RunOutput {
    let mut command = cache.command(["fetch", "--offline", "--quiet", "--audit-log"]);
    let digest = format!("sha256:{}", "0".repeat(64));
    command.arg(cache.beside(log)).args(more);
    command.args(names.map(|n| format!("localhost/app{n}@{digest}")));
    command.output().expect("the binary").into()
}

/// Records such a run, and returns the log's path.
#[track_caller]
fn record(cache: &Cache, log: &str, names: Range<usize>, more: &[&str]) -> String {
    try_record(cache, log, names, more).assert_status(13);
    cache.beside(log).display().to_string()
}

/// Saves the output of an `audit` subcommand, and returns the file's path.
#[track_caller]
fn saved(cache: &Cache, name: &str, args: &[&str]) -> String {
    let output = cache.run(["audit"].iter().chain(args));
    output.assert_status(0);
    let file = cache.beside(name);
    fs::write(&file, output.stdout).expect("a file");
    file.display().to_string()
}

/// Runs an independent implementation of a format, and returns what it prints.
#[track_caller]
fn python(script: &str, args: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3")
        .env("PYTHONPATH", root.join("target/python"))
        .arg(root.join("tests/audit_cli").join(script))
        .args(args)
        .output()
        .expect("python3");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors} (run `make setup`)");
    String::from_utf8(output.stdout).expect("UTF-8")
}
