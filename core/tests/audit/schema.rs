//! Records and statements against the JSON schemas of tests/schema.

use std::fs;

use serde_json::Value;
use skopeo_index_core::audit::{
    Entry, FetchEngine, FetchOrigin, Record, RunInfo, SourceInfo, leaf_hash, statement,
};
use skopeo_index_core::request::{Location, Request};
use test_support::audit_log::sample::{ONE_ATTEMPT, answer, identity, logs, origin, run_info};
use test_support::audit_log::{lines, unseal};
use test_support::schema::count_valid;

use crate::statement::verifier_id;

fn json_lines(values: &[Value]) -> Vec<u8> {
    let lines = values.iter().map(|value| format!("{value}\n"));
    lines.collect::<String>().into_bytes()
}

#[test]
fn records_match_their_schema_and_unknown_members_do_not() {
    let [log, _] = logs();
    let count = lines(log).len();
    assert_eq!(count_valid("record.json", log), (count, count));
    // The golden log also has a torn line, and the record that names it.
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit/golden/log");
    let golden = fs::read(golden).expect("a log");
    let mut records = lines(&golden);
    records.retain(|line| Record::parse(line.trim_ascii_end()).is_ok());
    let golden_count = lines(&golden).len() - 1;
    let valid = count_valid("record.json", &records.concat());
    assert_eq!(valid, (golden_count, golden_count));
    let mut others = unseal(log);
    for other in &mut others {
        let entry = other["entry"].as_object_mut().expect("an object");
        let members = entry.values_mut().next().expect("one");
        members["more"] = 1.into();
    }
    assert_eq!(count_valid("record.json", &json_lines(&others)), (0, count));
}

#[test]
fn statements_match_their_schema_and_contradictions_do_not() {
    let by_skopeo = origin(run_info(ONE_ATTEMPT));
    let answered = FetchOrigin {
        engine: Some(FetchEngine::Skopeo {
            identity: identity(),
            answer: Some(answer()),
        }),
        run: run_info(ONE_ATTEMPT),
        verifiers: Vec::new(),
    };
    let from_cache = origin(RunInfo {
        source: SourceInfo::Cache("/a b/\u{e9}%?#".to_owned()),
        ..run_info(ONE_ATTEMPT)
    });
    let of_this_version = origin(RunInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..run_info(ONE_ATTEMPT)
    });
    let verifier = verifier_id();
    let mut statements = Vec::new();
    for line in lines(&logs()[0]) {
        let line = line.trim_ascii_end();
        let mut record = Record::parse(line).expect("a record");
        statements.extend(statement(&record, leaf_hash(line), &by_skopeo, &verifier));
        statements.extend(statement(&record, leaf_hash(line), &answered, &verifier));
        statements.extend(statement(&record, leaf_hash(line), &from_cache, &verifier));
        statements.extend(statement(
            &record,
            leaf_hash(line),
            &of_this_version,
            &verifier,
        ));
        // A storage location whose characters must be encoded in a URI.
        if let Entry::Transition { request, .. } = &mut record.entry {
            let location = "/a b/\u{e9}%?#\"<>".parse().expect("a location");
            let location = Location::ContainersStorage {
                location: Some(location),
            };
            let name = request.name().clone();
            *request = Request::new(name, location, request.digest());
            statements.extend(statement(&record, leaf_hash(line), &by_skopeo, &verifier));
        }
    }
    let count = statements.len();
    assert!(count > 10, "{count}");
    let text = json_lines(&statements);
    assert_eq!(count_valid("statement.json", &text), (count, count));
    for statement in &mut statements {
        let predicate = &mut statement["predicate"];
        let passed = predicate["verificationResult"] == "PASSED";
        let other = if passed { "FAILED" } else { "PASSED" };
        predicate["verificationResult"] = other.into();
    }
    let text = json_lines(&statements);
    assert_eq!(count_valid("statement.json", &text), (0, count));
}
