//! The order of syncs and renames, and publishing without `renameat2`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use skopeo_index_core::digest::Digest;
use test_support::loopback::samples;

use crate::fixture::{Fixture, RunResult, Scenario};
use crate::trace::{file_calls, traced};

/// Position of the first call that contains all of these texts.
#[track_caller]
fn position(calls: &[String], texts: &[&str]) -> usize {
    let contains_all = |call: &String| texts.iter().all(|text| call.contains(text));
    let found = calls.iter().position(contains_all);
    found.unwrap_or_else(|| panic!("no {texts:?} in {calls:#?}"))
}

/// The syncs, each with its file's name, and what gives a name.
fn syncs_and_names(calls: &[String]) -> Vec<String> {
    let calls = calls.iter().filter_map(|call| {
        let (name, arguments) = call.split_once('(')?;
        let path = arguments.split_once('<')?.1.split_once('>')?.0;
        let file = path.rsplit('/').next()?;
        match name {
            "fsync" | "fdatasync" if file.starts_with('#') => Some(format!("{name} nameless")),
            "fsync" | "fdatasync" | "syncfs" => Some(format!("{name} {file}")),
            "renameat2" | "linkat" => Some(name.to_owned()),
            _ => None,
        }
    });
    calls.collect()
}

#[test]
fn fsync_of_records_and_objects_happens_in_order() {
    let fixture = Fixture::new(Scenario::Hit);
    let fsync = |dir: &Path| match dir.file_name() {
        Some(name) if dir != fixture.dir() => format!("fsync {}", name.display()),
        _ => "fsync ".to_owned(),
    };
    // The log is in the fixture's directory, which has no name in the trace.
    let log_dirs: Vec<_> = fixture.dir().ancestors().map(fsync).collect();
    let cache = fixture.cache();
    let ancestors: Vec<_> = cache.ancestors().skip(1).map(fsync).collect();
    let calls = |calls: &[&str]| calls.iter().map(|call| (*call).to_owned()).collect();

    let before_name = [
        "fdatasync log", // Verified
        "fsync nameless",
        "linkat",
    ];
    let after_name = [
        "fsync org.osbuild.files",
        "fdatasync log", // Committed
        "fsync names.new",
        "fdatasync log", // the run's end
    ];
    let fetched = [
        log_dirs.clone(),
        calls(&before_name),
        ancestors.clone(),
        calls(&after_name),
    ];
    assert_eq!(
        syncs_and_names(&file_calls(Scenario::FetchByRaw, &[])),
        fetched.concat()
    );
    // The system lacks syncfs, or too much is dirty for it.
    let object = vec![format!("fsync {}", fixture.digest())];
    let hit = [
        log_dirs.clone(),
        object.clone(),
        ancestors,
        calls(&after_name),
    ];
    let refuse = ["-e".to_owned(), "inject=syncfs:error=ENOSYS".to_owned()];
    let mut made = syncs_and_names(&file_calls(Scenario::Hit, &refuse));
    made.retain(|call| !call.starts_with("syncfs"));
    assert_eq!(made, hit.concat());

    let made = syncs_and_names(&file_calls(Scenario::Hit, &[]));
    if made.iter().any(|call| call.starts_with("syncfs")) {
        let device = |dir: &Path| fs::metadata(dir).expect("a directory").dev();
        let others = cache.ancestors().skip(1);
        let others = others.filter(|dir| device(dir) != device(&cache));
        let all = vec!["syncfs org.osbuild.files".to_owned()];
        let hit = [
            log_dirs,
            all,
            object,
            others.map(fsync).collect(),
            calls(&after_name[1..]),
        ];
        assert_eq!(made, hit.concat());
    }
}

/// The trace of a run with so many hits and an audit log.
fn trace_of_hits(count: usize, strace_options: &[&str]) -> String {
    let fixture = Fixture::new(Scenario::Hit);
    let mut hits = Vec::new();
    for n in 0..count {
        let document = samples::distinct(n);
        let digest = Digest::of(&document);
        fs::write(fixture.cache().join(digest.to_string()), document).expect("an object");
        hits.push(format!("localhost/app@{digest}"));
    }
    let (trace, log) = (fixture.dir().join("trace"), fixture.dir().join("log"));
    let status = Command::new("strace")
        .args(["-qq", "-f", "-y"])
        .args(strace_options)
        .arg("-o")
        .arg(&trace)
        .arg(test_support::program::binary())
        .args(["fetch", "--quiet", "--skopeo=/bin/true", "--audit-log"])
        .arg(&log)
        .arg("--cache")
        .arg(fixture.cache())
        .args(hits)
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("strace").success());
    fs::read_to_string(trace).expect("the output of strace")
}

#[test]
fn fsync_of_the_log_is_one_for_a_batch_of_hits() {
    let trace = trace_of_hits(20, &["-e", "trace=fsync,fdatasync"]);
    let of_log = trace.lines().filter(|line| line.contains("/log>"));
    // The second is that of the run's end.
    assert_eq!(of_log.count(), 2, "{trace}");
}

#[test]
fn every_hit_is_synced_where_no_thread_can_be_started() {
    let options = [
        "--trace=fsync,syncfs,clone,clone3",
        "--inject=syncfs:error=ENOSYS",
        "--inject=clone,clone3:error=EAGAIN",
    ];
    let trace = trace_of_hits(40, &options);
    let refused = trace.lines().filter(|line| line.contains("EAGAIN"));
    assert!(refused.count() > 1, "{trace}");
    let synced = trace
        .lines()
        .filter(|line| line.contains("fsync(") && line.contains("/sha256:"));
    assert_eq!(synced.count(), 40, "{trace}");
}

/// Options of strace that refuse the nameless file, as file systems without O_TMPFILE do.
fn without_nameless_files() -> Vec<String> {
    let mut opens = traced(Scenario::FetchByRaw, &["-e", "trace=openat"]);
    // Not the lines of signals.
    opens.retain(|line| line.starts_with("openat("));
    let nameless = position(&opens, &["O_TMPFILE"]);
    let refuse = format!("inject=openat:error=EOPNOTSUPP:when={}", nameless + 1);
    vec!["-e".to_owned(), refuse]
}

#[test]
fn publish_without_nameless_files_syncs_and_renames() {
    let refuse = without_nameless_files();
    let calls = file_calls(Scenario::FetchByRaw, &refuse);
    let synced = position(&calls, &["fsync(", ".object"]);
    let renamed = position(&calls, &["renameat2(", ".object"]);
    assert!(synced < renamed, "{calls:#?}");
}

#[test]
fn publish_without_nameless_files_and_renameat2_links_and_unlinks() {
    for error in ["EINVAL", "ENOSYS"] {
        let mut refuse = without_nameless_files();
        refuse.extend(["-e".to_owned(), format!("inject=renameat2:error={error}")]);
        let calls = file_calls(Scenario::FetchByRaw, &refuse);
        let linked = position(&calls, &["linkat(", ".object"]);
        let unlinked = position(&calls, &["unlink", ".object"]);
        assert!(linked < unlinked, "{calls:#?}");
    }
}

#[test]
fn quarantine_without_renameat2_keeps_the_older_object() {
    let fixture = Fixture::new(Scenario::Quarantine);
    let quarantine = fixture.cache().join(".skopeo-index/quarantine");
    let quarantined = |n| quarantine.join(format!("{}.{n}", fixture.digest()));
    fs::create_dir_all(&quarantine).expect("a directory");
    fs::write(quarantined(1), "older").expect("a file");
    let refuse = "inject=renameat2:error=EINVAL";
    assert_eq!(fixture.run_traced(&["-e", refuse]), RunResult::Succeeded);
    fixture.assert_invariants(RunResult::Succeeded, "without renameat2");
    let contents = [1, 2].map(|n| fs::read_to_string(quarantined(n)).expect("a file"));
    assert_eq!(contents, ["older", "corrupt"]);
    fixture.assert_next_run_succeeds("without renameat2");
}
