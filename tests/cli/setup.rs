//! `.ci/setup`, which installs what the demo and the tests need.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

/// Runs `.ci/setup` for this purpose, with these programs and a package manager that only
/// records what it is asked for.
fn set_up(purpose: &str, programs: &[&str], manager: &str) -> (Output, String) {
    let dir = tempfile::tempdir().expect("a directory");
    for tool in ["sed", "env", "dirname"] {
        let real = ["/usr/bin", "/bin"].map(|bin| Path::new(bin).join(tool));
        let real = real.into_iter().find(|path| path.exists()).expect("a tool");
        symlink(real, dir.path().join(tool)).expect("a link");
    }
    let record = dir.path().join("record");
    let stub = |name: &str, text: &str| {
        let file = dir.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("a file");
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("a mode");
    };
    for program in programs {
        stub(program, "exit 1");
    }
    stub("id", "echo 1000");
    stub("sudo", "exec \"$@\"");
    stub(manager, "echo \"$@\" >> \"$RECORD\"");
    for module in [
        "cryptography",
        "in_toto_attestation",
        "jsonschema",
        "securesystemslib",
        "yaml",
    ] {
        let module = dir.path().join("target/python").join(module);
        fs::create_dir_all(module).expect("a directory");
    }
    let output = Command::new("/bin/sh")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/setup"))
        .arg(purpose)
        .current_dir(dir.path())
        .env("PATH", dir.path())
        .env("RECORD", &record)
        .output()
        .expect("sh");
    assert!(output.status.success(), "{output:?}");
    (output, fs::read_to_string(record).unwrap_or_default())
}

#[test]
fn setup_installs_missing_linker_without_recommended_packages_and_says_so() {
    let (output, ran) = set_up("demo", &["skopeo"], "apt-get");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("installing with apt-get: gcc libc6-dev"),
        "{said}"
    );
    let install = ran.lines().find(|line| line.contains("install"));
    let install = install.expect("an installation");
    assert!(install.contains("--no-install-recommends"), "{install}");
    assert!(install.contains(" gcc libc6-dev "), "{install}");
    assert!(!install.contains("skopeo"), "{install}");

    let (output, ran) = set_up("demo", &[], "dnf");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("installing with dnf: gcc skopeo"), "{said}");
    assert!(ran.contains("install_weak_deps=False gcc skopeo"), "{ran}");
}

#[test]
fn setup_for_tests_installs_what_signs() {
    for (manager, expected) in [
        ("apt-get", [" gpg ", " gpg-agent ", " openssh-client "]),
        ("dnf", [" gnupg2 ", " gnupg2 ", " openssh "]),
    ] {
        let (_, ran) = set_up("test", &["cc", "skopeo"], manager);
        let install = ran.lines().find(|line| line.contains("install "));
        let install = install.expect("an installation");
        for package in expected {
            assert!(install.contains(package), "{package}: {install}");
        }
    }
}

#[test]
fn setup_installs_nothing_where_nothing_is_missing() {
    let (output, ran) = set_up("demo", &["cc", "skopeo"], "apt-get");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(ran, "");
}
