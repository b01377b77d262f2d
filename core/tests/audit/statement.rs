//! Fetches as in-toto statements.

use serde_json::Value;
use skopeo_index_core::audit::{Entry, Record, RunInfo, SourceInfo, leaf_hash, statement};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::State;
use skopeo_index_core::request::{ImageName, Location, Request, TlsVerify};
use test_support::audit_log::lines;
use test_support::audit_log::sample::{ONE_ATTEMPT, logs, origin, run_info};

fn run() -> RunInfo {
    run_info(ONE_ATTEMPT)
}

#[test]
fn only_records_of_ended_fetches_become_statements() {
    let run = run();
    let (mut passed, mut failed) = (0, 0);
    for line in lines(&logs()[0]) {
        let line = line.trim_ascii_end();
        let record = Record::parse(line).expect("a record");
        let statement_of_record = statement(&record, leaf_hash(line), &origin(run.clone()));
        let ended = match &record.entry {
            Entry::Transition { event, request, .. }
                if matches!(event.to, State::Committed | State::Failed) =>
            {
                Some((event, request))
            }
            _ => None,
        };
        let Some((event, request)) = ended else {
            assert_eq!(statement_of_record, None, "{record:?}");
            continue;
        };
        let statement = statement_of_record.expect("a statement");
        let (predicate, subject) = (&statement["predicate"], &statement["subject"][0]);
        assert_eq!(subject["name"], request.name().without_tag());
        assert_eq!(subject["digest"]["sha256"], request.digest().hex());
        assert_eq!(predicate["timeVerified"], record.time.as_str());
        let record_fields = &predicate["pkg:cargo/skopeo-index#record"];
        assert_eq!(record_fields["log"], record.log.as_str());
        assert_eq!(record_fields["seq"], record.seq);
        assert_eq!(
            record_fields["leafHash"],
            Digest::from_bytes(leaf_hash(line)).hex()
        );
        let cause = event.cause.as_ref().map(ToString::to_string);
        assert_eq!(record_fields["cause"].as_str(), cause.as_deref());
        let result = if event.to == State::Committed {
            passed += 1;
            assert!(subject["annotations"]["size"].is_u64(), "{statement}");
            "PASSED"
        } else {
            failed += 1;
            "FAILED"
        };
        assert_eq!(predicate["verificationResult"], result);
    }
    assert!(passed > 3 && failed > 1, "{passed} {failed}");
}

/// The predicate of the last fetch of the log, with its request replaced.
fn predicate(request: Request, run: &RunInfo) -> Value {
    let lines = lines(&logs()[0]);
    let ended = lines.iter().rev().find_map(|line| {
        let line = line.trim_ascii_end();
        let mut record = Record::parse(line).expect("a record");
        if let Entry::Transition { request: of, .. } = &mut record.entry {
            *of = request.clone();
        }
        statement(&record, leaf_hash(line), &origin(run.clone()))
    });
    ended.expect("an end")["predicate"].take()
}

fn request(name: &str, location: Location) -> Request {
    let name: ImageName = name.parse().expect("a name");
    Request::new(name, location, Digest::of(b""))
}

#[test]
fn verifier_and_policy_of_a_statement_are_those_of_the_run() {
    let docker = Location::Docker {
        tls_verify: TlsVerify::Always,
    };
    let of = |run: &RunInfo| predicate(request("localhost/app", docker.clone()), run);
    let by_skopeo = of(&run());
    let version = &by_skopeo["verifier"]["version"];
    assert_eq!(version["skopeo-index"], "0.0.1");
    assert_eq!(version["skopeo"], "skopeo version 1");
    let uri = &by_skopeo["policy"]["uri"];
    assert_eq!(uri, "pkg:cargo/skopeo-index@0.0.1#docs/index-validation.md");
    let copied = of(&RunInfo {
        source: SourceInfo::Cache("/a b".to_owned()),
        ..run()
    });
    assert_eq!(copied["verifier"]["version"].get("skopeo"), None);
    let object = format!("file:///a%20b/{}", Digest::of(b""));
    assert_eq!(copied["resourceUri"], object);
}

#[test]
fn resource_uri_has_the_completed_registry_as_authority() {
    let digest = Digest::of(b"");
    let docker = || Location::Docker {
        tls_verify: TlsVerify::Unset,
    };
    let uri = |name, location| predicate(request(name, location), &run())["resourceUri"].take();
    for (name, completed) in [
        ("localhost/app", "localhost/app"),
        ("127.0.0.1:5000/a/b:tag", "127.0.0.1:5000/a/b"),
        ("a.b/c", "a.b/c"),
        ("app", "docker.io/library/app"),
        ("library/app", "docker.io/library/app"),
        ("a/b/c", "docker.io/a/b/c"),
    ] {
        let expected = format!("docker://{completed}@{digest}");
        assert_eq!(uri(name, docker()), expected);
    }
    let storage = |location: Option<&str>| Location::ContainersStorage {
        location: location.map(|location| location.parse().expect("a location")),
    };
    let expected = format!("containers-storage:app:tag@{digest}");
    assert_eq!(uri("app:tag", storage(None)), expected);
    let expected = format!("containers-storage:%5Boverlay@/a%20b/%25%5Dapp@{digest}");
    assert_eq!(uri("app", storage(Some("/a b/%"))), expected);
}
