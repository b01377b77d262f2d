//! Finds the commit that is built, for `--version`: the first of
//!
//! - `SKOPEO_INDEX_COMMIT`, for builds from an archive,
//! - `.cargo_vcs_info.json`, which cargo puts into a packed crate,
//! - git, in a release build: others would be built anew at every commit.

use std::path::Path;
use std::process::Command;

const VARIABLE: &str = "SKOPEO_INDEX_COMMIT";
const PACKED: &str = ".cargo_vcs_info.json";
const MODIFIED: &str = ", modified";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var(VARIABLE)
        .ok()
        .filter(|commit| !commit.is_empty());
    if let Some(commit) = given.or_else(packed).or_else(committed) {
        println!("cargo::rustc-env={VARIABLE}={}", commit.trim());
    }
}

/// `{"git": {"sha1": "…"}, …}`
fn packed() -> Option<String> {
    let info = std::fs::read_to_string(PACKED).ok()?;
    let (_, rest) = info.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    let is_dirty = rest.contains("\"dirty\": true");
    Some(format!("{commit}{}", if is_dirty { MODIFIED } else { "" }))
}

/// The commit of this repository, not of one that the sources were unpacked in.
fn committed() -> Option<String> {
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if !is_release || !Path::new(".git").exists() {
        return None;
    }
    for file in ["core/src", "src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={}", head.trim());
    let commit = git(&["rev-parse", "HEAD"])?;
    let is_clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(format!(
        "{}{}",
        commit.trim(),
        if is_clean { "" } else { MODIFIED }
    ))
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(printed)
}
