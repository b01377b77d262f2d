//! What crashes leave of lines is kept and recorded.

use std::fs;
use std::path::Path;

use skopeo_index::audit_log::LogWriter;
use skopeo_index_core::audit::{FindingKind, MAX_RECORD_LEN};
use skopeo_index_core::digest::Digest;

use super::writer::{append_longest, never, run};
use super::{all_findings, unsealed, verify};

#[test]
fn what_is_torn_may_be_as_long_as_a_line_and_is_kept_each_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let cancel = never();
    let log = LogWriter::open(&path, &cancel).expect("a log");
    run(&log).expect("records");
    for (n, torn) in [(1, vec![b'x'; MAX_RECORD_LEN]), (2, b"{".to_vec())] {
        let sound = fs::read(&path).expect("a log");
        fs::write(&path, [sound, torn.clone()].concat()).expect("a log");
        run(&log).expect("records");
        let kept = dir.path().join(format!("log.torn-{n}"));
        assert_eq!(fs::read(kept).expect("it"), torn);
    }
    assert_eq!(verify(&fs::read(&path).expect("a log"), None).1, []);
}

#[test]
fn the_line_before_what_is_torn_may_be_as_long_as_any() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, cancel) = (dir.path().join("log"), never());
    let log = LogWriter::open(&path, &cancel).expect("a log");
    run(&log).expect("records");
    append_longest(&log);
    let sound = fs::read(&path).expect("a log");
    fs::write(&path, [&sound[..], &[b'x'; MAX_RECORD_LEN]].concat()).expect("a log");
    run(&LogWriter::open(&path, &cancel).expect("a log")).expect("records");
    assert_eq!(told(&fs::read(&path).expect("a log")).len(), 1);
}

#[test]
fn what_is_torn_and_cannot_be_kept_or_is_no_line_stays_where_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let cases = [
        // No name for a second file beside it.
        ("x".repeat(254), b"{".to_vec(), "keep aside"),
        ("log".to_owned(), vec![b'x'; MAX_RECORD_LEN + 1], "no end"),
    ];
    for (name, torn, why) in cases {
        let path = dir.path().join(name);
        fs::write(&path, &torn).expect("a log");
        let cancel = never();
        let opened = LogWriter::open(&path, &cancel).expect("a file");
        let error = run(&opened).expect_err("no record to follow");
        assert!(error.contains(why), "{error}");
        assert_eq!(fs::read(&path).expect("a log"), torn);
    }
}

/// What the log tells of files that were kept aside: their names and digests.
fn told(log: &[u8]) -> Vec<(String, String)> {
    let recovered = |record: serde_json::Value| {
        let recovered = record["op"].get("recovered")?;
        let text = |key: &str| recovered[key].as_str().expect("text").to_owned();
        Some((text("keptAs"), text("sha256")))
    };
    unsealed(log).into_iter().filter_map(recovered).collect()
}

/// Every file beside a log is told of once, as it is.
fn assert_all_told(log: &Path) {
    let mut kept = Vec::new();
    for entry in fs::read_dir(log.parent().expect("a directory")).expect("a directory") {
        let name = entry
            .expect("a file")
            .file_name()
            .into_string()
            .expect("UTF-8");
        if name != "log" {
            let bytes = fs::read(log.with_file_name(&name)).expect("a file");
            kept.push((name, Digest::of(&bytes).to_string()));
        }
    }
    let mut told = told(&fs::read(log).expect("a log"));
    kept.sort();
    told.sort();
    assert_eq!(kept, told);
}

#[test]
fn what_an_unfinished_recovery_has_kept_is_told_by_the_next() {
    let torn = b"{\"log\":\"skopeo-index/0";
    let left: [&[(&str, &[u8])]; 5] = [
        &[],
        &[("log.torn-1", b"")],
        &[("log.torn-1", &torn[..5])],
        &[("log.torn-1", torn)],
        // And one from a line that was itself torn while it was recovered.
        &[("log.torn-1", b"other"), ("log.torn-2", torn)],
    ];
    for files in left {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, cancel) = (dir.path().join("log"), never());
        run(&LogWriter::open(&path, &cancel).expect("a log")).expect("records");
        let sound = fs::read(&path).expect("a log");
        fs::write(&path, [&sound, &torn[..]].concat()).expect("a log");
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).expect("a file");
        }
        run(&LogWriter::open(&path, &cancel).expect("a log")).expect("records");
        assert_all_told(&path);
        let names = told(&fs::read(&path).expect("a log"));
        assert_eq!(names.len(), files.len().max(1), "{names:?}");
        let whole = Digest::of(torn).to_string();
        assert!(names.iter().any(|(_, sha256)| *sha256 == whole));

        // Told once, they are left alone.
        let log = fs::read(&path).expect("a log");
        fs::write(&path, [&log[..], b"{"].concat()).expect("a log");
        run(&LogWriter::open(&path, &cancel).expect("a log")).expect("records");
        assert_all_told(&path);
        let found = all_findings(&fs::read(&path).expect("a log"), None).1;
        let recovered = |what: &FindingKind| matches!(what, FindingKind::Recovered { .. });
        assert!(
            found.iter().all(|found| recovered(&found.what)),
            "{found:?}"
        );
        assert_eq!(found.len(), names.len() + 1);
    }
}

#[test]
fn what_is_no_torn_line_beside_a_log_is_none_that_was_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, cancel) = (dir.path().join("log"), never());
    fs::write(&path, "{").expect("a log");
    fs::create_dir(dir.path().join("log.torn-1")).expect("a directory");
    let link = dir.path().join("log.torn-2");
    std::os::unix::fs::symlink("/etc/passwd", link).expect("a link");
    // Longer than any line.
    fs::write(
        dir.path().join("log.torn-3"),
        vec![b'x'; MAX_RECORD_LEN + 1],
    )
    .expect("a file");
    run(&LogWriter::open(&path, &cancel).expect("a log")).expect("records");
    let told = told(&fs::read(&path).expect("a log"));
    let expected = ("log.torn-4".to_owned(), Digest::of(b"{").to_string());
    assert_eq!(told, [expected]);
}
