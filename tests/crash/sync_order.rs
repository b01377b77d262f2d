//! The order of syncs and renames, and publishing without `renameat2`.

use std::fs;
use std::path::Path;

use crate::fixture::{Fixture, RunResult, Scenario};
use crate::trace::file_calls;

/// Position of the first call that contains all of these texts.
#[track_caller]
fn position(calls: &[String], texts: &[&str]) -> usize {
    let contains_all = |call: &String| texts.iter().all(|text| call.contains(text));
    let found = calls.iter().position(contains_all);
    found.unwrap_or_else(|| panic!("no {texts:?} in {calls:#?}"))
}

/// The syncs, each with its file's name, and the renames.
fn syncs_and_renames(calls: &[String]) -> Vec<String> {
    let calls = calls.iter().filter_map(|call| {
        let (name, arguments) = call.split_once('(')?;
        let path = arguments.split_once('<')?.1.split_once('>')?.0;
        let file = path.rsplit('/').next()?;
        match name {
            "fsync" | "fdatasync" => Some(format!("{name} {file}")),
            "renameat2" => Some(name.to_owned()),
            _ => None,
        }
    });
    calls.collect()
}

#[test]
fn fsync_of_records_and_objects_happens_in_order() {
    let fixture = Fixture::new(Scenario::Hit);
    // The fixture's directory, where the log is, has no name in the trace.
    let log_dir = || vec!["fsync ".to_owned()];
    let fsync = |dir: &Path| match dir.file_name() {
        Some(name) if dir != fixture.dir() => format!("fsync {}", name.display()),
        _ => "fsync ".to_owned(),
    };
    let cache = fixture.cache();
    let ancestors: Vec<_> = cache.ancestors().skip(1).map(fsync).collect();
    let calls = |calls: &[&str]| calls.iter().map(|call| (*call).to_owned()).collect();

    let before_rename = [
        "fsync org.osbuild.files",
        "fdatasync log", // Verified
        "fsync 0.object",
        "renameat2",
    ];
    let after_rename = [
        "fsync org.osbuild.files",
        "fdatasync log", // Committed
        "fdatasync log", // the run's end
    ];
    let fetched = [
        log_dir(),
        calls(&before_rename),
        ancestors.clone(),
        calls(&after_rename),
    ];
    assert_eq!(
        syncs_and_renames(&file_calls(Scenario::FetchByRaw, &[])),
        fetched.concat()
    );
    let object = vec![format!("fsync {}", fixture.digest())];
    let hit = [log_dir(), object, ancestors, calls(&after_rename)];
    assert_eq!(
        syncs_and_renames(&file_calls(Scenario::Hit, &[])),
        hit.concat()
    );
}

#[test]
fn publish_without_renameat2_links_and_unlinks() {
    for error in ["EINVAL", "ENOSYS"] {
        let refuse = format!("inject=renameat2:error={error}");
        let calls = file_calls(Scenario::FetchByRaw, &["-e", &refuse]);
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
