//! Records, findings and statements of the core against their JSON schemas, and the digest of
//! the rules that statements refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use skopeo_index_core::audit::{
    CommandRecord, Entry, ExchangeRecord, FetchEngine, FetchOrigin, FindingKind, Invocation,
    PreviousLog, Record, Rotation, RunInfo, SkopeoIdentity, SourceInfo, TlsRecord, TornLine,
    TransitionRecord, VerifierRecord, leaf_hash, statement,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{
    DescriptorError, IndexSummary, MediaType, NotAnIndex, NotInteroperable,
};
use skopeo_index_core::machine::{
    CacheEntry, CancelReason, Cause, Classification, ContentInfo, EffectError, Event, FailureKind,
    FetchPolicy, Method, Network, Outcome, Placement, State,
};
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::RegistryAnswer;
use test_support::audit_log::sample::{ONE_ATTEMPT, answer, identity, logs, origin, run_info};
use test_support::audit_log::{lines, unseal};
use test_support::schema::{count_valid, file};

use crate::shape::{Shape, Variant, shape};

fn json_lines(values: &[Value]) -> Vec<u8> {
    let lines = values.iter().map(|value| format!("{value}\n"));
    lines.collect::<String>().into_bytes()
}

#[test]
fn records_match_their_schema_and_unknown_members_do_not() {
    let [log, _] = logs();
    let count = lines(log).len();
    assert_eq!(count_valid("record", log), (count, count));
    // The golden log also has a torn line, and the record that names it.
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/core/tests/audit/golden/log");
    let golden = fs::read(golden).expect("a log");
    let mut records = lines(&golden);
    records.retain(|line| Record::parse(line.trim_ascii_end()).is_ok());
    let golden_count = lines(&golden).len() - 1;
    let valid = count_valid("record", &records.concat());
    assert_eq!(valid, (golden_count, golden_count));
    let mut others = unseal(log);
    for other in &mut others {
        let entry = other["entry"].as_object_mut().expect("an object");
        let members = entry.values_mut().next().expect("one");
        members["more"] = 1.into();
    }
    assert_eq!(count_valid("record", &json_lines(&others)), (0, count));
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
    let verifier = "https://example.com/builds".parse().expect("a URI");
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
        if let Entry::Transition(TransitionRecord { request, .. }) = &mut record.entry {
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
    assert_eq!(count_valid("statement", &text), (count, count));
    for statement in &mut statements {
        let predicate = &mut statement["predicate"];
        let passed = predicate["verificationResult"] == "PASSED";
        let other = if passed { "FAILED" } else { "PASSED" };
        predicate["verificationResult"] = other.into();
    }
    let text = json_lines(&statements);
    assert_eq!(count_valid("statement", &text), (0, count));
}

/// The types of the definitions in the schema of records, by name.
fn shapes() -> BTreeMap<String, Shape> {
    macro_rules! shapes {
        ($($name:ident $(<$content:ty>)?),* $(,)?) => {
            [$((stringify!($name), shape::<$name $(<$content>)?>())),*]
        };
    }
    let shapes = shapes![
        CacheEntry<ContentInfo>,
        CancelReason,
        Cause,
        Classification,
        CommandRecord,
        ContentInfo,
        DescriptorError,
        EffectError,
        Entry,
        Event,
        ExchangeRecord,
        FailureKind,
        FetchPolicy,
        IndexSummary,
        Invocation,
        Location,
        MediaType,
        Method,
        Network,
        NotAnIndex,
        NotInteroperable,
        Outcome<ContentInfo>,
        Placement,
        PreviousLog,
        RegistryAnswer,
        Request,
        Rotation,
        RunInfo,
        SkopeoIdentity,
        SourceInfo,
        State,
        TlsRecord,
        TlsVerify,
        TornLine,
        VerifierRecord,
    ];
    let definition = |name: &str| name[..1].to_lowercase() + &name[1..];
    shapes.map(|(name, shape)| (definition(name), shape)).into()
}

fn sorted<'s>(names: impl IntoIterator<Item = &'s str>) -> BTreeSet<&'s str> {
    names.into_iter().collect()
}

/// The members that a schema of an object allows.
fn properties(schema: &Value) -> BTreeSet<&str> {
    assert_eq!(schema["additionalProperties"], false, "{schema}");
    let properties = schema["properties"].as_object().expect("properties");
    sorted(properties.keys().map(String::as_str))
}

/// Asserts that a definition has the members or variants of its type.
#[track_caller]
fn assert_shape(name: &str, shape: &Shape, definitions: &Value) {
    let definition = &definitions[name];
    let variants = match shape {
        Shape::Struct(fields) => {
            assert_eq!(
                properties(definition),
                sorted(fields.iter().copied()),
                "{name}"
            );
            return;
        }
        Shape::Enum(variants) => variants,
    };
    // Variants without content are texts, others are objects with one member.
    let alternatives = definition["anyOf"].as_array();
    let alternatives = alternatives.map_or(std::slice::from_ref(definition), Vec::as_slice);
    let texts = alternatives.iter().filter_map(|one| one["enum"].as_array());
    let texts = texts.flatten().map(|text| text.as_str().expect("a text"));
    let is_unit = |(_, variant): &&(_, Variant)| *variant == Variant::Unit;
    let (units, others): (Vec<_>, Vec<_>) = variants.iter().partition(is_unit);
    assert_eq!(
        sorted(texts),
        sorted(units.iter().map(|(text, _)| *text)),
        "{name}"
    );
    let Some(object) = alternatives.iter().find(|one| one["maxProperties"] == 1) else {
        assert!(others.is_empty(), "{name}: {others:?}");
        return;
    };
    assert_eq!(
        properties(object),
        sorted(others.iter().map(|(member, _)| *member)),
        "{name}"
    );
    for (member, variant) in others {
        if let Variant::Struct(fields) = variant {
            let content = &object["properties"][member];
            let content = match content["$ref"].as_str() {
                Some(reference) => &definitions[reference.trim_start_matches("#/$defs/")],
                None => content,
            };
            assert_eq!(
                properties(content),
                sorted(fields.iter().copied()),
                "{name}: {member}"
            );
        }
    }
}

#[test]
fn schema_of_records_has_every_member_and_variant_of_their_types() {
    let schema = file("record");
    let Shape::Struct(fields) = shape::<Record>() else {
        panic!("a record is a struct")
    };
    let members = fields.iter().copied().chain(["trailer"]);
    assert_eq!(properties(&schema), sorted(members));
    let (definitions, shapes) = (&schema["$defs"], shapes());
    for (name, shape) in &shapes {
        assert_shape(name, shape, definitions);
    }
    // A definition of a new type needs its shape above. `key` is that of several variants,
    // `labels` a map.
    let all = definitions.as_object().expect("definitions").iter();
    let of_types = all.filter(|(_, definition)| {
        definition["type"] == "object"
            || ["enum", "anyOf"]
                .iter()
                .any(|key| !definition[key].is_null())
    });
    let of_types = of_types
        .map(|(name, _)| name.as_str())
        .filter(|name| !["key", "labels"].contains(name));
    assert_eq!(sorted(of_types), sorted(shapes.keys().map(String::as_str)));
}

#[test]
fn schema_of_findings_has_every_kind_with_its_severity() {
    let finding = &file("audit-verify")["$defs"]["finding"];
    let (mut kinds, mut severities) = (BTreeSet::new(), Vec::new());
    for one in finding["oneOf"].as_array().expect("severities") {
        let severity = &one["properties"]["severity"]["const"];
        let of_severity = one["properties"]["kind"]["enum"].as_array();
        for kind in of_severity.expect("kinds") {
            kinds.insert((
                kind.as_str().expect("a text"),
                severity.as_str().expect("a text"),
            ));
        }
        severities.push(severity);
    }
    let codes = FindingKind::codes().map(|(kind, severity)| (kind, severity.as_str()));
    assert_eq!(kinds, codes.collect());
    let all = finding["properties"]["severity"]["enum"].as_array();
    assert_eq!(
        severities,
        all.expect("severities").iter().collect::<Vec<_>>()
    );
}

#[test]
fn schema_of_inspect_has_the_code_of_every_reason() {
    let shapes = shapes();
    let tags = |name: &str, prefix: &str| match &shapes[name] {
        Shape::Enum(variants) => {
            let tags = variants.iter().map(|(tag, _)| format!("{prefix}{tag}"));
            tags.collect::<BTreeSet<_>>()
        }
        Shape::Struct(_) => panic!("{name} is an enum"),
    };
    let mut codes = tags("notAnIndex", "");
    for (tag, name) in [
        ("descriptor", "descriptorError"),
        ("not-interoperable", "notInteroperable"),
    ] {
        assert!(codes.remove(tag), "{tag}");
        codes.extend(tags(name, &format!("{tag}-")));
    }
    let refusal = &file("inspect")["$defs"]["refusal"];
    let listed = refusal["properties"]["code"]["enum"].as_array();
    let listed = listed.expect("codes").iter().filter_map(Value::as_str);
    assert_eq!(sorted(listed), sorted(codes.iter().map(String::as_str)));
}

#[test]
fn policy_digest_of_a_statement_is_that_of_the_rules_in_docs() {
    let of_this_version = origin(RunInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..run_info(ONE_ATTEMPT)
    });
    let verifier = "https://example.com/builds".parse().expect("a URI");
    let statements = lines(&logs()[0]).into_iter().filter_map(|line| {
        let line = line.trim_ascii_end();
        let record = Record::parse(line).expect("a record");
        statement(&record, leaf_hash(line), &of_this_version, &verifier)
    });
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/index-validation.md");
    let sha256 = Digest::of(&fs::read(rules).expect("a file")).hex();
    let policies: Vec<_> = statements
        .map(|statement| statement["predicate"]["policy"]["digest"]["sha256"].clone())
        .collect();
    assert!(
        !policies.is_empty() && policies.iter().all(|policy| *policy == sha256),
        "{policies:?}"
    );
}
