//! Fakes and harness of the program.

use std::path::{Path, PathBuf};

pub mod fakes;
pub mod harness;
pub mod host;

/// The binary under test, which Cargo builds beside the directory of test executables:
/// `target/debug/skopeo-index` for `target/debug/deps/TEST`.
///
/// # Panics
/// Where it isn't built.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent);
    let binary = profile.expect("a target directory").join("skopeo-index");
    assert!(
        binary.is_file(),
        "{} does not exist: run `cargo build` with the profile of the tests",
        binary.display()
    );
    binary
}

/// The names in a directory, sorted; none where it is missing.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The names of all staging directories in a cache.
#[must_use]
pub fn staging_dirs(cache: &Path) -> Vec<String> {
    let mut names = names(&cache.join(".skopeo-index"));
    names.retain(|name| name.starts_with("staging"));
    names
}

/// Peak resident memory of a running process, in bytes.
///
/// # Panics
/// Where the process has ended.
#[must_use]
pub fn peak_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    let kibibytes: usize = kibibytes.expect("VmHWM").parse().expect("a number");
    kibibytes << 10
}
