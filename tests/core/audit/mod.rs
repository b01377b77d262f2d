//! The audit log: it verifies after whatever a run or a crash does, and after
//! no change.

mod changes;
mod generated;
mod golden;
mod recover;
mod schema;
mod statement;
mod story;
mod tree;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use test_support::loopback::samples;
use serde_json::Value;
use skopeo_index::audit_log::{LogWriter, Recorder, Supply};
use skopeo_index::os::CancelToken;
use skopeo_index::store::{RealDisk, Store};
use skopeo_index_core::audit::{
    Checkpoint, Finding, KeepObjects, ParsedLine, Severity, SkopeoIdentity, Verifier, leaf_hash,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{FetchPolicy, Method, Network};
use skopeo_index_core::request::Request;

use crate::stand_in::MockSkopeo;
use crate::stand_in::PLAN;
use crate::stand_in::failed;
use crate::stand_in::fetch;
use crate::stand_in::honest;
use crate::stand_in::printed;
use crate::stand_in::request;

/// What brings everything here.
fn supply() -> Supply<'static> {
    Supply::Skopeo(SkopeoIdentity {
        path: "/s".to_owned(),
        sha256: None,
        version: "skopeo version 1".to_owned(),
    })
}

/// How a run ends.
enum End {
    Well,
    /// Without a word, as by a crash.
    Suddenly,
}

fn recorded(
    log: &Path,
    cache: &Path,
    skopeo: &MockSkopeo,
    plan: FetchPolicy,
    requests: &[Request],
    end: &End,
) {
    let cancel = CancelToken::new(None).expect("a pipe");
    let (log, store) = (
        LogWriter::open(log, &cancel).expect("a log"),
        Store::new(cache.to_owned(), RealDisk),
    );
    let recorder = Recorder::begin(&log, cache, plan, supply()).expect("a log");
    fetch(&store, skopeo, plan, requests, (3, &cancel, &[&recorder])).expect("no halt");
    if let End::Well = end {
        recorder.end().expect("a log");
    }
}

/// A log of all that happens: successes, hits, failures, retries, both methods,
/// crashes.
fn make_log(dir: &Path) -> PathBuf {
    let (log, cache) = (dir.join("log"), dir.join("cache"));
    let documents: Vec<_> = (0..3)
        .map(samples::distinct)
        .chain([samples::single_image()])
        .collect();
    let requests: Vec<_> = documents
        .iter()
        .map(|document| request(Digest::of(document)))
        .collect();
    let copy = FetchPolicy {
        method: Method::SkopeoCopy,
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &honest(documents.clone()),
        PLAN,
        &requests,
        &End::Well,
    );
    recorded(
        &log,
        &cache,
        &honest(documents.clone()),
        PLAN,
        &requests[..2],
        &End::Suddenly,
    );
    fs::write(cache.join(requests[0].digest().to_string()), "corrupt").expect("an object");
    recorded(
        &log,
        &cache,
        &honest(documents),
        copy,
        &requests[..1],
        &End::Well,
    );
    let mut flaky = MockSkopeo::new();
    flaky
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| failed("\u{e9}\u{1f600}\u{7f}: connection refused"));
    flaky
        .expect_run()
        .returning(|_, _, _, _| printed(samples::empty()));
    let twice = FetchPolicy {
        attempts: 2.try_into().expect("not zero"),
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &flaky,
        twice,
        &[request(Digest::of(&samples::empty()))],
        &End::Well,
    );
    let offline = FetchPolicy {
        network: Network::Offline,
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &MockSkopeo::new(),
        offline,
        &[request(Digest::of(b"missing"))],
        &End::Well,
    );
    log
}

/// Made once: what is in it, and another's.
fn logs() -> &'static [Vec<u8>; 2] {
    static LOGS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    LOGS.get_or_init(|| {
        [(), ()].map(|()| {
            let dir = tempfile::tempdir().expect("a directory");
            fs::read(make_log(dir.path())).expect("a log")
        })
    })
}

fn lines(log: &[u8]) -> Vec<Vec<u8>> {
    log.split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// All findings that are more than a note, and where the log stands.
fn verify(log: &[u8], checkpoint: Option<Checkpoint>) -> (Option<Checkpoint>, Vec<Finding>) {
    let (checkpoint, mut found) = all_findings(log, checkpoint);
    found.retain(|finding| finding.what.severity() > Severity::Note);
    (checkpoint, found)
}

fn all_findings(log: &[u8], checkpoint: Option<Checkpoint>) -> (Option<Checkpoint>, Vec<Finding>) {
    let mut verifier = Verifier::new(checkpoint, KeepObjects::Nothing);
    let mut found = Vec::new();
    let mut rest = log;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        found.extend(verifier.line(&ParsedLine::read(&rest[..end])));
        rest = &rest[end + 1..];
    }
    let (verified, more) = verifier.finish(rest);
    found.extend(more);
    (verified.checkpoint, found)
}

/// A record with a right trailer, whatever it says.
fn sealed(record: &Value) -> Vec<u8> {
    let mut units = [0; 2];
    let ascii = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => {
            let units = c.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    let mut record: String = record.to_string().chars().map(ascii).collect();
    record.pop();
    let sum = Digest::of(record.as_bytes()).hex();
    format!("{record},\"trailer\":\"{sum}\"}}").into_bytes()
}

/// What stands in a log's lines, without the trailers.
fn unsealed(log: &[u8]) -> Vec<Value> {
    let read = |line: &Vec<u8>| {
        let mut record: Value = serde_json::from_slice(line).expect("JSON");
        record.as_object_mut().expect("an object").remove("trailer");
        record
    };
    lines(log).iter().map(read).collect()
}

/// A log of these records as one would rewrite it who knows how: chained anew.
fn rewritten(records: &[Value]) -> Vec<u8> {
    let (mut log, mut prev) = (Vec::new(), [0; 32]);
    for (seq, record) in records.iter().enumerate() {
        let mut record = record.clone();
        record["seq"] = seq.into();
        record["prev"] = Digest::from_bytes(prev).hex().into();
        let line = sealed(&record);
        prev = leaf_hash(&line);
        log.extend(line);
        log.push(b'\n');
    }
    log
}

fn another_log() -> String {
    format!("skopeo-index/{}", "0".repeat(32))
}
