//! `make install` and `make uninstall`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// `make`, without a toolchain, for the binary of the tests.
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

/// The files below a directory, and their modes.
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
fn what_is_installed_is_all_taken_away_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let binary = env!("CARGO_BIN_EXE_skopeo-index");
    let ran = make("install", dir.path(), binary);
    assert!(ran.status.success(), "{ran:?}");

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
    // A page for each command that the main one names.
    let page = fs::read_to_string(dir.path().join("usr/share/man/man1/skopeo-index.1"));
    let page = page.expect("the page");
    let commands = page
        .lines()
        .filter_map(|line| line.strip_prefix("skopeo\\-index\\-")?.strip_suffix("(1)"))
        .filter(|command| *command != "help");
    expected.extend(commands.map(|c| (format!("usr/share/man/man1/skopeo-index-{c}.1"), 0o644)));
    assert_eq!(files(dir.path()), expected);

    let ran = make("uninstall", dir.path(), binary);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(files(dir.path()), BTreeSet::new());
}

#[test]
fn what_was_not_built_is_not_installed() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = make("install", dir.path(), "no-such-file");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        !ran.status.success() && said.contains("run `make build` first"),
        "{ran:?}"
    );
    assert_eq!(files(dir.path()), BTreeSet::new());
}
