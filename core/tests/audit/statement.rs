//! Verdicts as in-toto statements, and their envelopes.

use crate::support::audit_log::lines;
use crate::support::audit_log::sample::{
    ONE_ATTEMPT, identity, log_with_verifiers, logs, origin, run_info,
};
use crate::support::samples;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use skopeo_index_core::audit::{
    Entry, ExchangeRecord, FetchEngine, FetchOrigin, InvalidVerifierId, Labels, LogId,
    MAX_VERIFIER_ID_LEN, Record, RunInfo, SourceInfo, TransitionRecord, VerifierId, VerifierRecord,
    dsse_envelope, dsse_message, leaf_hash, statement,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::NotAnIndex;
use skopeo_index_core::machine::{CancelReason, Cause, EffectError, FailureKind, State};
use skopeo_index_core::request::{ImageName, Location, Request, TlsVerify};
use skopeo_index_core::skopeo::RegistryAnswer;

pub fn verifier_id() -> VerifierId {
    let id = "https://example.com/builds".parse();
    id.expect("a URI")
}

fn run() -> RunInfo {
    run_info(ONE_ATTEMPT)
}

#[test]
fn only_verdicts_become_statements() {
    let (run, verifier) = (run(), verifier_id());
    let (mut passed, mut failed) = (0, 0);
    for line in lines(&logs()[0]) {
        let line = line.trim_ascii_end();
        let record = Record::parse(line).expect("a record");
        let statement_of_record =
            statement(&record, leaf_hash(line), &origin(run.clone()), &verifier);
        let ended = match &record.entry {
            Entry::Transition(TransitionRecord { event, request, .. })
                if event.to == State::Committed
                    || matches!(
                        event.cause,
                        Some(Cause::NotAnIndex { .. } | Cause::DigestMismatch { .. })
                    ) =>
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
        assert_eq!(predicate["verifier"]["id"], verifier.to_string());
        assert_eq!(predicate["slsaVersion"], "1.0");
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
    assert!(passed > 3 && failed > 0, "{passed} {failed}");
}

#[test]
fn statement_has_the_verifiers_of_its_fetch() {
    let mut runs = OpenRecords::default();
    let ended: Vec<Value> = lines(&log_with_verifiers())
        .iter()
        .filter_map(|line| runs.statement(line.trim_ascii_end()))
        .collect();
    let of = |at: usize| &ended[at]["predicate"];
    let verifiers = |at: usize| &of(at)["pkg:cargo/skopeo-index#record"]["verifiers"];
    let authenticated = ["SKOPEO_INDEX_DIGEST_VERIFIED", "SKOPEO_INDEX_AUTHENTICATED"];
    // A fetch, and a hit.
    for at in [0, 1] {
        assert_eq!(of(at)["verificationResult"], "PASSED");
        assert_eq!(of(at)["verifiedLevels"], json!(authenticated));
        let ask = &verifiers(at)[0];
        assert_eq!(ask["path"], "/bin/ask");
        assert_eq!(ask["sha256"], Digest::of(b"program").to_string());
        let reference = format!("localhost/app@{}", Digest::of(&samples::distinct(0)));
        assert_eq!(ask["command"]["argv"][1], reference);
        assert_eq!(verifiers(at)[1]["path"], "/bin/also");
    }
    assert_eq!(of(2)["verificationResult"], "FAILED");
    assert_eq!(of(2)["verifiedLevels"], json!(["FAILED"]));
    assert_eq!(verifiers(2)[1]["command"]["exit"], 1);
    assert_eq!(ended.len(), 3);
}

/// The verifiers of the open fetch, of which there is one at a time.
#[derive(Default)]
struct OpenRecords(Vec<VerifierRecord>);

impl OpenRecords {
    fn statement(&mut self, line: &[u8]) -> Option<Value> {
        let record = Record::parse(line).expect("a record");
        if let Entry::Transition(made) = &record.entry {
            self.0.extend(made.verifier.as_deref().cloned());
        }
        let origin = FetchOrigin {
            verifiers: self.0.clone(),
            ..origin(run())
        };
        let statement = statement(&record, leaf_hash(line), &origin, &verifier_id())?;
        self.0.clear();
        Some(statement)
    }
}

/// The predicate of the last fetch of the log, with its request replaced.
fn predicate(request: Request, origin: &FetchOrigin) -> Value {
    let lines = lines(&logs()[0]);
    let ended = lines.iter().rev().find_map(|line| {
        let line = line.trim_ascii_end();
        let mut record = Record::parse(line).expect("a record");
        if let Entry::Transition(made) = &mut record.entry {
            made.request = request.clone();
        }
        statement(&record, leaf_hash(line), origin, &verifier_id())
    });
    ended.expect("an end")["predicate"].take()
}

/// A fetch by skopeo whose answer is known.
fn answered_by(endpoint: &str, repository: &str) -> FetchOrigin {
    let answer = RegistryAnswer {
        endpoint: endpoint.to_owned(),
        repository: repository.to_owned(),
    };
    FetchOrigin {
        engine: Some(FetchEngine::Skopeo {
            identity: identity(),
            answer: Some(answer),
        }),
        run: run(),
        verifiers: Vec::new(),
    }
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
    let of = |run: &RunInfo| {
        predicate(
            request("localhost/app", docker.clone()),
            &origin(run.clone()),
        )
    };
    let by_skopeo = of(&run());
    let version = &by_skopeo["verifier"]["version"];
    assert_eq!(version["skopeo-index"], "0.0.1");
    assert_eq!(version["skopeo"], "skopeo version 1");
    // What a run is for says which pipeline verified; who ran it stays in the log.
    let record = &by_skopeo["pkg:cargo/skopeo-index#record"];
    assert_eq!(record["labels"]["job"], "1234");
    assert!(!by_skopeo.to_string().contains("builder7"), "{by_skopeo}");
    let mut without_labels = run();
    without_labels.invocation.labels = Labels::default();
    let record = &of(&without_labels)["pkg:cargo/skopeo-index#record"];
    assert_eq!(record.get("labels"), None);
    let policy = &by_skopeo["policy"];
    let uri = &policy["uri"];
    assert_eq!(uri, "pkg:cargo/skopeo-index@0.0.1#docs/index-validation.md");
    assert_eq!(policy.get("digest"), None);
    let copied = of(&RunInfo {
        source: SourceInfo::Cache("/a b".to_owned()),
        ..run()
    });
    assert_eq!(copied["verifier"]["version"].get("skopeo"), None);
    let object = format!("file:///a%20b/{}", Digest::of(b""));
    assert_eq!(copied["resourceUri"], object);
}

#[test]
fn resource_uri_is_a_package_url_with_the_repository_that_answered() {
    let digest = Digest::of(b"");
    let docker = || Location::Docker {
        tls_verify: TlsVerify::Unset,
    };
    let uri = |name: &str, location, origin: &FetchOrigin| {
        predicate(request(name, location), origin)["resourceUri"].take()
    };
    let by_skopeo = origin(run());
    for (name, last) in [
        ("localhost/app", "app"),
        ("127.0.0.1:5000/a/b:tag", "b"),
        ("a.b/c", "c"),
        ("A.b/c", "c"),
        ("app", "app"),
        ("library/app", "app"),
        ("a/b/c_d", "c_d"),
    ] {
        // As the specification's own tests have it.
        let of = |url: &str| {
            let url = url.replace('/', "%2F");
            format!("pkg:oci/{last}@{digest}?repository_url={url}")
        };
        let unknown = of("").replace("?repository_url=", "");
        assert_eq!(
            uri(name, docker(), &by_skopeo),
            unknown,
            "not the name's host"
        );
        let hit = FetchOrigin {
            engine: None,
            run: run(),
            verifiers: Vec::new(),
        };
        assert_eq!(uri(name, docker(), &hit), unknown);
        let mirrored = answered_by("https://mirror.example:5000", "x/mirrored");
        let mirror = of("mirror.example:5000/x/mirrored");
        assert_eq!(uri(name, docker(), &mirrored), mirror);
        let invalid = answered_by("https://mirror.example/?", "x&y=z");
        assert_eq!(uri(name, docker(), &invalid), unknown);
        let by_registry = |repository: Option<&str>| FetchOrigin {
            engine: Some(FetchEngine::Registry(ExchangeRecord {
                endpoint: "https://mirror.example:5000".to_owned(),
                repository: repository.map(str::to_owned),
                status: Some(200),
                ..ExchangeRecord::default()
            })),
            run: run(),
            verifiers: Vec::new(),
        };
        let redirected = by_registry(Some("x/redirected"));
        let answered = of("mirror.example:5000/x/redirected");
        assert_eq!(uri(name, docker(), &redirected), answered);
        for other in [None, Some("x&y=z"), Some("../x")] {
            assert_eq!(uri(name, docker(), &by_registry(other)), unknown);
        }
    }
    let storage = |location: Option<&str>| Location::ContainersStorage {
        location: location.map(|location| location.parse().expect("a location")),
    };
    let expected = format!("containers-storage:app:tag@{digest}");
    assert_eq!(uri("app:tag", storage(None), &by_skopeo), expected);
    let expected = format!("containers-storage:%5Boverlay@/a%20b/%25%5Dapp@{digest}");
    assert_eq!(uri("app", storage(Some("/a b/%")), &by_skopeo), expected);
}

#[test]
fn failures_of_transport_or_machine_are_no_verdict() {
    let digest = Digest::of(b"");
    let command = |kind| EffectError::Command {
        kind,
        message: String::new(),
    };
    let text = String::new;
    let disk = EffectError::Disk {
        error: text(),
        operation: text(),
        path: text(),
    };
    let cancelled = EffectError::Cancelled {
        reason: CancelReason::Deadline,
    };
    let log = EffectError::AuditLog { error: text() };
    let failed = |error| Cause::EffectFailed { error };
    let exhausted = |kind| Cause::RetriesExhausted {
        attempts: 3,
        error: command(kind),
    };
    let verdicts = [
        Cause::NotAnIndex {
            reason: NotAnIndex::NotAnObject,
        },
        Cause::DigestMismatch {
            actual: digest,
            expected: Digest::of(b"other"),
            not_an_index: None,
        },
        Cause::SkopeoDigestMismatch {
            sha256: digest,
            skopeo: text(),
        },
        failed(command(FailureKind::DigestMismatch)),
        failed(command(FailureKind::NotAnIndex)),
        exhausted(FailureKind::DigestMismatch),
    ];
    let others = [
        Cause::CopyMismatch {
            copied: digest,
            read: Digest::of(b"other"),
        },
        Cause::ReadBackMismatch { read: None },
        Cause::Offline { quarantined: None },
        failed(disk),
        failed(cancelled),
        failed(log),
        failed(command(FailureKind::NotFound)),
        failed(command(FailureKind::Authentication)),
        failed(command(FailureKind::TooLarge)),
        failed(command(FailureKind::UnexpectedAnswer)),
        failed(command(FailureKind::Other)),
        exhausted(FailureKind::Network),
        exhausted(FailureKind::Timeout),
        exhausted(FailureKind::Server),
    ];
    let lines = lines(&logs()[0]);
    let records = lines
        .iter()
        .map(|line| Record::parse(line.trim_ascii_end()));
    let mut records = records.map(|record| record.expect("a record"));
    let is_failure = |record: &Record| matches!(&record.entry, Entry::Transition(made) if made.event.to == State::Failed);
    let record = records.find(is_failure).expect("a failed fetch");
    let statement_of = |of: &Cause| {
        let mut record = record.clone();
        if let Entry::Transition(made) = &mut record.entry {
            made.event.cause = Some(of.clone());
        }
        statement(&record, [0; 32], &origin(run()), &verifier_id())
    };
    for cause in &verdicts {
        assert!(statement_of(cause).is_some(), "{cause:?}");
    }
    for cause in &others {
        assert_eq!(statement_of(cause), None, "{cause:?}");
    }
}

proptest! {
    #![proptest_config(crate::support::property::config(256, "audit-statement.txt"))]

    #[test]
    fn verifier_id_is_accepted_if_and_only_if_it_is_a_uri(
        scheme in "[A-Za-z][A-Za-z0-9+.-]{0,8}",
        rest in "([A-Za-z0-9._~:/?#@!$&'()*+,;=\\[\\]-]|%[0-9A-Fa-f]{2}){1,40}",
        other in "[^A-Za-z0-9._~:/?#@!$&'()*+,;=\\[\\]%-]|%[0-9A-Fa-f]?[g-z]",
        at in any::<prop::sample::Index>(),
    ) {
        let text = format!("{scheme}:{rest}");
        prop_assert_eq!(text.parse::<VerifierId>().map(|id| id.to_string()), Ok(text.clone()));
        let mut changed = text;
        changed.insert_str(at.index(changed.len() + 1), &other);
        prop_assert_eq!(changed.parse::<VerifierId>(), Err(InvalidVerifierId));
    }

    #[test]
    fn dsse_message_and_envelope_are_those_of_the_specification(
        payload: Vec<u8>,
        signature: Vec<u8>,
    ) {
        let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
        prop_assert_eq!(dsse_message(&payload), [head.as_bytes(), &payload].concat());
        let envelope = dsse_envelope(&payload, "id", &signature);
        let decode = |value: &Value| STANDARD.decode(value.as_str().expect("a text"));
        prop_assert_eq!(decode(&envelope["payload"]), Ok(payload));
        prop_assert_eq!(decode(&envelope["signatures"][0]["sig"]), Ok(signature));
        prop_assert_eq!(&envelope["signatures"][0]["keyid"], "id");
        prop_assert_eq!(&envelope["payloadType"], "application/vnd.in-toto+json");
    }
}

#[test]
fn verifier_id_of_a_log_is_the_url_of_its_origin() {
    let of = |log: LogId| VerifierId::of_log(&log).map(|id| id.to_string());
    let origin = LogId::try_from("example.com/builds".to_owned()).expect("an origin");
    let random = LogId::from_random([7; 16]);
    for (log, url) in [(origin, Some("https://example.com/builds")), (random, None)] {
        assert_eq!(of(log.clone()).as_deref(), url);
        assert_eq!(of(log.next([8; 16]).expect("a rotation")).as_deref(), url);
    }
}

#[test]
fn verifier_id_without_scheme_or_beyond_the_limit_is_refused() {
    let longest = format!("a:{}", "b".repeat(MAX_VERIFIER_ID_LEN - 2));
    assert!(longest.parse::<VerifierId>().is_ok());
    for text in [
        "",
        "a",
        "a:",
        ":a",
        "1a:b",
        "a_b:c",
        "example.com/builds",
        &(longest + "b"),
    ] {
        assert_eq!(text.parse::<VerifierId>(), Err(InvalidVerifierId), "{text}");
    }
}
