//! File names and forged records are escaped; paths that are not UTF-8 are taken.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use test_support::audit_log::{rechain, unseal};
use test_support::loopback::{Registry, digest};
use test_support::program::harness::Cache;

use crate::screen::{self, Stdout};
use crate::{digest_of, put};

/// Escape, bell, C1 control, bidirectional override, line separator, and a forged line.
const HOSTILE: &str = "x\u{1b}[31m\u{7}\u{9b}1m\u{202e}\u{2028}\nerror: forged";

#[track_caller]
fn assert_printable(text: &str) {
    let hidden = ['\u{202e}', '\u{2028}'];
    let is_printable =
        |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || hidden.contains(&c));
    assert!(text.chars().all(is_printable), "{text:?}");
    assert!(
        !text.lines().any(|line| line.starts_with("error: forged")),
        "{text}"
    );
}

#[test]
fn file_names_on_the_command_line_are_escaped_in_errors() {
    let cache = Cache::new();
    let file = cache.beside(HOSTILE);
    let not_json = cache.beside(&format!("not-json-{HOSTILE}"));
    std::fs::write(&not_json, "x").expect("a file");
    let empty = cache.beside("empty");
    std::fs::write(&empty, "").expect("a file");
    let commands: [&[&str]; 11] = [
        &["inspect"],
        &["audit", "verify"],
        &["audit", "show"],
        &["audit", "checkpoint"],
        &["audit", "prove", "--seq=0"],
        &["audit", "export", "--in-toto", "--all"],
        &["audit", "verify", "log", "--checkpoint"],
        &["fetch", "--manifest"],
        &["verify", "--cache"],
        &[
            "fetch",
            "--skopeo=/bin/false",
            "--cache=/dev/null",
            "--audit-log",
        ],
        &["fetch", "--offline", "--no-such-option"],
    ];
    for command in commands {
        for file in [&file, &not_json] {
            let arguments = command.iter().map(OsStr::new).chain([file.as_os_str()]);
            let output = cache.run(arguments);
            assert_ne!(output.status, Some(0), "{command:?}");
            assert_printable(&output.stderr);
            assert_printable(&output.stdout);
        }
    }
    let output = cache.run([
        OsStr::new("audit"),
        OsStr::new("verify"),
        OsStr::new("--proof"),
        file.as_os_str(),
        OsStr::new("--checkpoint"),
        file.as_os_str(),
    ]);
    assert_printable(&output.stderr);
}

#[test]
fn raw_document_is_escaped_on_a_terminal_only() {
    let cache = Cache::new();
    let file = cache.beside("index.json");
    let document = format!(r#"{{"schemaVersion":2,"manifests":[],"x":"{HOSTILE}"}}"#);
    std::fs::write(&file, &document).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let args = ["inspect", "--raw", file];
    let screen = screen::run(&cache.command(args), (200, 24), Stdout::Terminal, None);
    // A terminal's line ends have a carriage return.
    assert_printable(
        &screen
            .received
            .replace("\r\n", "\n")
            .replace("\nerror: forged", ""),
    );
    assert!(screen.received.contains("\\u{202e}"), "{}", screen.received);
    assert_eq!(cache.run(args).stdout, document);
}

#[test]
fn paths_that_are_not_utf8_are_escaped_in_json_and_exact_in_text() {
    let registry = Registry::start();
    let reference = put(&registry, 1).remove(0);
    let cache = Cache::new();
    let dir = PathBuf::from(std::ffi::OsString::from_vec(
        [cache.beside("a").as_os_str().as_bytes(), b"\\\xff\n"].concat(),
    ));
    let object = dir.join(digest_of(&reference));
    let run = |args: &[&str]| {
        let mut command = cache.command(args);
        let output = command
            .arg("--cache")
            .arg(&dir)
            .output()
            .expect("the binary");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        output.stdout
    };
    let json = |bytes: Vec<u8>| -> serde_json::Value {
        let text = String::from_utf8(bytes).expect("UTF-8");
        serde_json::from_str(text.lines().last().unwrap_or_default()).expect("JSON")
    };
    let escaped = format!("{}\\\\\\xff\\n", cache.beside("a").display());
    let fetch = ["fetch", "--tls-verify=false", &reference];
    let fetched = json(run(&[&fetch[..], &["--format=json"]].concat()));
    assert_eq!(
        fetched["path"],
        format!("{escaped}/{}", digest_of(&reference))
    );
    let verified = json(run(&["verify", "--format=json"]));
    assert_eq!(
        (&verified["cache"], &verified["intact"]),
        (&escaped.into(), &1.into())
    );
    assert_eq!(run(&fetch), [object.as_os_str().as_bytes(), b"\n"].concat());
    run(&["verify"]);
    run(&[&fetch[..], &["--dry-run", "--format=json"]].concat());
}

#[test]
fn forged_record_is_escaped_by_show_and_export() {
    let registry = Registry::start();
    let references = put(&registry, 1);
    let cache = Cache::new();
    let log = cache.beside("log");
    let log = log.to_str().expect("UTF-8");
    let mut args = vec!["fetch", "--tls-verify=false", "--audit-log", log];
    args.extend(references.iter().map(String::as_str));
    cache.run(&args).assert_status(0);
    // A cache that is not a directory gives a disk error.
    let missing = format!("localhost/app@{}", digest(b"x"));
    cache.run([
        "fetch",
        "--offline",
        "--cache=/dev/null",
        "--audit-log",
        log,
        &missing,
    ]);
    let mut records = unseal(&std::fs::read(log).expect("a log"));
    records.iter_mut().for_each(forge);
    std::fs::write(log, rechain(&records)).expect("a log");
    let shown = cache.run(["audit", "show", log]);
    assert_printable(&shown.stdout);
    assert!(shown.stdout.contains("\\u{1b}[31m"), "{shown:?}");
    let exported = cache.run([
        "audit",
        "export",
        "--in-toto",
        "--all",
        "--verifier-id=https://example.com",
        log,
    ]);
    assert_printable(&exported.stdout);
}

/// Puts a hostile text into every operation of a disk error and version of skopeo.
fn forge(value: &mut serde_json::Value) {
    let Some(object) = value.as_object_mut() else {
        return;
    };
    for (key, value) in object {
        match key.as_str() {
            "operation" | "version" if value.is_string() => *value = HOSTILE.into(),
            _ => forge(value),
        }
    }
}
