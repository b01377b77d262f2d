//! `packaging/licenses`, the licenses of what is linked into the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use test_support::loopback::run;
use test_support::program::harness::RunOutput;

use crate::sbom::{linked_crates, sbom};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/licenses");

fn licenses() -> String {
    String::from_utf8(run("python3", &[SCRIPT])).expect("UTF-8")
}

#[test]
fn licenses_name_each_linked_crate_with_its_texts() {
    let licenses = licenses();
    let (list, texts) = licenses.split_once("\n---").expect("texts");
    let mut named = BTreeSet::new();
    for entry in list.split("\n\n").last().expect("a list").lines() {
        match entry.strip_prefix("    ") {
            Some(text) => {
                let (_, number) = text.rsplit_once(": ").expect("a file and its text");
                assert!(texts.contains(&format!("\n{number}\n")), "{entry}");
            }
            None => {
                let (name, _) = entry.split_once(": ").expect("a name and a license");
                named.insert(name.replace(' ', "@"));
            }
        }
    }
    named.retain(|name| !name.starts_with("Rust@standard@library@"));
    let mut linked = linked_crates(&sbom());
    linked.retain(|name| !name.starts_with("skopeo-index-core@"));
    assert_eq!(named, linked);
}

#[test]
fn licenses_name_the_standard_library() {
    assert!(licenses().contains("\nRust standard library "));
}

#[test]
fn licenses_have_the_notice_of_crates_that_require_one() {
    let licenses = licenses();
    for notice in [
        "Copyright (c) 2018 Carl Lerche",              // bytes
        "Copyright (c) 2015 Danny Guo",                // strsim
        "Copyright 2015 Brian Smith.",                 // rustls-webpki
        "Isis Agora Lovecruft. All rights reserved.",  // subtle
        "Copyright 2015-2020 the fiat-crypto authors", // ring
        "Copyright © 1991-2023 Unicode, Inc.",         // std
    ] {
        assert!(licenses.contains(notice), "{notice}");
    }
}

#[test]
fn licenses_have_no_text_twice_and_are_the_same_each_time() {
    let licenses = licenses();
    let rule = "-".repeat(80);
    let texts = licenses.split(rule.as_str()).skip(2).step_by(2);
    let texts: Vec<Vec<_>> = texts
        .map(|text| text.split_whitespace().collect())
        .collect();
    assert!(texts.len() > 10, "{}", texts.len());
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len());
    assert_eq!(licenses, self::licenses());
}

#[test]
fn license_expression_of_the_binary_has_every_required_license() {
    let printed = run("python3", &[SCRIPT, "--expression"]);
    let printed = String::from_utf8(printed).expect("UTF-8");
    let terms: BTreeSet<_> = printed.trim_end().split(" AND ").collect();
    for required in [
        "Apache-2.0",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "Unicode-3.0",
        "(Apache-2.0 OR MIT)",
    ] {
        assert!(terms.contains(required), "{printed}");
    }
}

/// Runs the script in a project whose only dependency has this license, and a text if any.
fn licenses_with(license: &str, text: Option<&str>) -> RunOutput {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, content).expect("a file");
    };
    let package = |name| format!("[package]\nname = \"{name}\"\nversion = \"1.2.3\"\n");
    let own = package("skopeo-index") + "license = \"Apache-2.0\"\n";
    write(
        "program/Cargo.toml",
        &format!("{own}[dependencies]\ndependency.path = \"../dependency\"\n[workspace]\n"),
    );
    write("program/src/lib.rs", "");
    write("program/deny.toml", include_str!("../../deny.toml"));
    let dependency = package("dependency") + &format!("license = \"{license}\"\n");
    write("dependency/Cargo.toml", &dependency);
    write("dependency/src/lib.rs", "");
    if let Some(text) = text {
        write("dependency/LICENSE", text);
    }
    let program = dir.path().join("program");
    let lock = ["generate-lockfile", "--offline", "--manifest-path"];
    let manifest = program.join("Cargo.toml").display().to_string();
    run("cargo", &[&lock[..], &[&manifest]].concat());
    script_in(&program)
}

fn script_in(dir: &Path) -> RunOutput {
    let output = Command::new("python3")
        .arg(SCRIPT)
        .current_dir(dir)
        .output();
    output.expect("python3").into()
}

#[test]
fn license_text_of_a_dependency_is_printed() {
    let output = licenses_with("MIT/GPL-3.0-only", Some("Copyright: its authors\n"));
    let printed = &output.assert_status(0).stdout;
    let entry = "\ndependency 1.2.3: MIT OR GPL-3.0-only\n    LICENSE: text 1\n";
    assert!(printed.contains(entry), "{printed}");
    assert!(
        printed.contains("\n\nCopyright: its authors\n"),
        "{printed}"
    );
}

#[test]
fn license_outside_the_list_of_deny_toml_is_an_error() {
    for license in ["GPL-3.0-only", "MIT AND GPL-3.0-only"] {
        licenses_with(license, Some("text"))
            .assert_status(1)
            .assert_says("deny.toml does not allow the license of dependency 1.2.3: ");
    }
    licenses_with("MIT OR ISC AND Zlib", Some("text"))
        .assert_status(1)
        .assert_says("cannot read the license expression `MIT OR ISC AND Zlib`");
}

#[test]
fn missing_license_text_is_an_error() {
    licenses_with("MIT", None)
        .assert_status(1)
        .assert_says("no license text in the source of dependency 1.2.3");
}
