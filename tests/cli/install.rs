//! `make install`, `make install-osbuild` and the targets that undo them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_skopeo-index");

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

/// The man page of each command.
fn pages() -> BTreeSet<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut man = Command::new(BINARY);
    let written = man.args(["man", "--dir"]).arg(dir.path()).status();
    assert!(written.expect("the binary").success());
    files(dir.path())
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn install_of_command_line_is_undone_by_uninstall() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = make("install", dir.path(), BINARY);
    assert!(output.status.success(), "{output:?}");

    let mut expected: BTreeSet<_> = [
        ("usr/bin/skopeo-index", 0o755),
        ("usr/share/bash-completion/completions/skopeo-index", 0o644),
        (
            "usr/share/fish/vendor_completions.d/skopeo-index.fish",
            0o644,
        ),
        ("usr/share/zsh/site-functions/_skopeo-index", 0o644),
    ]
    .map(|(name, mode)| (name.to_owned(), mode))
    .into();
    expected.extend(
        pages()
            .iter()
            .map(|page| (format!("usr/share/man/man1/{page}"), 0o644)),
    );
    let schemas = test_support::schema::names().into_iter();
    let schema = |name| format!("usr/share/skopeo-index/schemas/{name}.json");
    expected.extend(schemas.map(|name| (schema(name), 0o644)));
    assert_eq!(files(dir.path()), expected);

    let output = make("uninstall", dir.path(), BINARY);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(files(dir.path()), BTreeSet::new());
}

#[test]
fn install_makes_pages_of_nested_commands_known_to_man() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = make("install", dir.path(), BINARY);
    assert!(output.status.success(), "{output:?}");
    let mut man = Command::new("man");
    man.arg("-M")
        .arg(dir.path().join("usr/share/man"))
        .arg("skopeo-index-audit-verify");
    // Containers have none.
    let Ok(output) = man.output() else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("EXIT STATUS"),
        "{output:?}"
    );
}

#[test]
fn install_osbuild_links_the_installed_command_and_is_undone_by_uninstall_osbuild() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = make("install-osbuild", dir.path(), BINARY);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_refused = !output.status.success() && stderr.contains("run `make install` first");
    assert!(is_refused && files(dir.path()).is_empty(), "{output:?}");

    assert!(make("install", dir.path(), BINARY).status.success());
    let installed = files(dir.path());
    let output = make("install-osbuild", dir.path(), BINARY);
    assert!(output.status.success(), "{output:?}");
    let source = dir
        .path()
        .join("usr/lib/osbuild/sources/org.osbuild.skopeo-index");
    let link = fs::read_link(&source).expect("a link");
    assert_eq!(link, Path::new("../../../bin/skopeo-index"));
    let help = Command::new(&source).arg("--help").output();
    let help = String::from_utf8(help.expect("the source").stdout).expect("UTF-8");
    assert!(help.contains("--service-fd"), "{help}");
    let meta = source.with_file_name("org.osbuild.skopeo-index.meta.json");
    assert_eq!(
        meta.metadata().expect("a file").permissions().mode() & 0o777,
        0o644
    );

    let output = make("uninstall-osbuild", dir.path(), BINARY);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(files(dir.path()), installed);
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
