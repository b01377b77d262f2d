//! `make install` and `make uninstall`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `make` as without a toolchain (`CARGO=false`).
fn make(target: &str, dir: &Path, binary: &str) -> Output {
    let mut command = Command::new("make");
    for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PREFIX", "OSBUILD"] {
        command.env_remove(inherited);
    }
    command
        .args(["-C", env!("CARGO_MANIFEST_DIR"), target, "CARGO=false"])
        .args(["PREFIX=/usr", &format!("BIN={binary}")])
        .arg(format!("DESTDIR={}", dir.display()))
        .output()
        .expect("make")
}

/// Files below a directory, with their modes.
fn files(dir: &Path) -> BTreeSet<(String, u32)> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).expect("a directory").flatten() {
            let (path, meta) = (entry.path(), entry.metadata().expect("its metadata"));
            if meta.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below it").display();
                found.insert((name.to_string(), meta.permissions().mode() & 0o777));
            }
        }
    }
    found
}

#[test]
fn uninstall_removes_every_installed_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let binary = env!("CARGO_BIN_EXE_skopeo-index");
    let output = make("install", dir.path(), binary);
    assert!(output.status.success(), "{output:?}");

    let mut expected: BTreeSet<_> = [
        ("usr/bin/skopeo-index", 0o755),
        ("usr/lib/osbuild/sources/org.osbuild.skopeo-index", 0o755),
        (
            "usr/lib/osbuild/sources/org.osbuild.skopeo-index.meta.json",
            0o644,
        ),
        ("usr/share/bash-completion/completions/skopeo-index", 0o644),
        (
            "usr/share/fish/vendor_completions.d/skopeo-index.fish",
            0o644,
        ),
        ("usr/share/zsh/site-functions/_skopeo-index", 0o644),
        ("usr/share/man/man1/skopeo-index.1", 0o644),
    ]
    .map(|(name, mode)| (name.to_owned(), mode))
    .into();
    // A man page for each command that the main page lists.
    let page = fs::read_to_string(dir.path().join("usr/share/man/man1/skopeo-index.1"));
    let page = page.expect("the page");
    let commands = page
        .lines()
        .filter_map(|line| line.strip_prefix("skopeo\\-index\\-")?.strip_suffix("(1)"))
        .filter(|command| *command != "help");
    expected.extend(commands.map(|c| (format!("usr/share/man/man1/skopeo-index-{c}.1"), 0o644)));
    assert_eq!(files(dir.path()), expected);

    let output = make("uninstall", dir.path(), binary);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(files(dir.path()), BTreeSet::new());
}

#[test]
fn install_without_build_fails_and_installs_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = make("install", dir.path(), "no-such-file");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && stderr.contains("run `make build` first"),
        "{output:?}"
    );
    assert_eq!(files(dir.path()), BTreeSet::new());
}
