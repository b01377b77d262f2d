//! The audit log's file: written by runs, recovered after crashes, read and verified.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod checkpoint;
mod core_schema;
mod invocation;
mod random_runs;
mod reader;
mod recovery;
mod rotation;
mod schema;
mod shape;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use skopeo_index::audit_log::{LogError, LogWriter, Recorder};
use skopeo_index::skopeo::CommandRunner;
use skopeo_index::store::Store;
use skopeo_index_core::audit::{Labels, SkopeoIdentity, SourceInfo};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{FetchPolicy, Method, Network};
use skopeo_index_core::request::Request;
use skopeo_index_core::verifier::Verifiers;
use test_support::loopback::samples;
use test_support::program::fakes::{
    MockSkopeo, POLICY, failed, fetch_with, never_cancelled, printed, request, skopeo_with,
};

/// Where the bytes of every run come from.
fn source_info() -> SourceInfo {
    SourceInfo::Skopeo(SkopeoIdentity {
        path: "/s".to_owned(),
        sha256: None,
        version: "skopeo version 1".to_owned(),
    })
}

/// Whether a run records its end.
#[derive(Clone, Copy, Debug)]
enum RunEnd {
    Recorded,
    /// As after a crash.
    Missing,
}

/// Records a run that fetches nothing.
fn record_empty_run(log: &LogWriter<'_>) -> Result<(), LogError> {
    Recorder::begin(
        log,
        Path::new("/cache"),
        POLICY,
        source_info(),
        &Labels::default(),
        None,
        Verifiers::default(),
    )?
    .end()
}

/// Records a run, and appends to a log that is there.
fn record_run(
    log: &Path,
    cache: &Path,
    skopeo: &dyn CommandRunner,
    policy: FetchPolicy,
    requests: &[Request],
    end: RunEnd,
) {
    let (cancel, store) = (never_cancelled(), Store::at(cache.to_owned()));
    let log = LogWriter::open(log, &cancel).expect("a log");
    let recorder = Recorder::begin(
        &log,
        cache,
        policy,
        source_info(),
        &Labels::default(),
        None,
        Verifiers::default(),
    )
    .expect("a record");
    let how = (3, &cancel, &[&recorder as _][..]);
    fetch_with(&store, skopeo, policy, requests, how);
    if let RunEnd::Recorded = end {
        recorder.end().expect("a record");
    }
}

/// Writes a log with every kind of run: successes, hits, failures, retries, both methods,
/// crashes.
fn write_log(dir: &Path) -> PathBuf {
    let (log, cache) = (dir.join("log"), dir.join("cache"));
    let documents: Vec<_> = (0..3)
        .map(samples::distinct)
        .chain([samples::single_image()])
        .collect();
    let requests: Vec<_> = documents.iter().map(|d| request(Digest::of(d))).collect();
    let run = |skopeo: &MockSkopeo, policy, requests: &[Request], end| {
        record_run(&log, &cache, skopeo, policy, requests, end);
    };
    let skopeo = skopeo_with(documents);
    run(&skopeo, POLICY, &requests, RunEnd::Recorded);
    run(&skopeo, POLICY, &requests[..2], RunEnd::Missing);
    fs::write(cache.join(requests[0].digest().to_string()), "corrupt").expect("an object");
    let copy = FetchPolicy {
        method: Method::SkopeoCopy,
        ..POLICY
    };
    run(&skopeo, copy, &requests[..1], RunEnd::Recorded);
    let mut flaky = MockSkopeo::new();
    flaky
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| failed("\u{e9}\u{1f600}\u{7f}: connection refused"));
    flaky
        .expect_run()
        .returning(|_, _, _, _| printed(samples::empty()));
    let retry = FetchPolicy {
        attempts: 2.try_into().expect("not zero"),
        ..POLICY
    };
    let empty = [request(Digest::of(&samples::empty()))];
    run(&flaky, retry, &empty, RunEnd::Recorded);
    let offline = FetchPolicy {
        network: Network::Offline,
        ..POLICY
    };
    let missing = [request(Digest::of(b"missing"))];
    run(&MockSkopeo::new(), offline, &missing, RunEnd::Recorded);
    log
}

/// Two such logs, written once.
fn logs() -> &'static [Vec<u8>; 2] {
    static LOGS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    LOGS.get_or_init(|| {
        [(), ()].map(|()| {
            let dir = tempfile::tempdir().expect("a directory");
            fs::read(write_log(dir.path())).expect("a log")
        })
    })
}
