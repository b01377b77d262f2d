//! The form of records.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use crate::support::audit_log::sample::{Answer, LogSample, ONE_ATTEMPT, Run, logs, request};
use crate::support::audit_log::{lines, seal, unseal};
use serde_json::Value;
use skopeo_index_core::audit::{MAX_RECORD_LEN, Record, RecordError, Timestamp};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{MAX_SUMMARY_PLATFORMS, MediaType};
use skopeo_index_core::verifier::Verifiers;

/// The JSON pointer of every object in a record.
fn objects(path: &str, value: &Value, found: &mut Vec<String>) {
    let Value::Object(members) = value else {
        return;
    };
    found.push(path.to_owned());
    for (key, value) in members {
        objects(&format!("{path}/{key}"), value, found);
    }
}

#[test]
fn record_with_unknown_member_or_other_form_is_rejected() {
    for record in logs().iter().flat_map(|log| unseal(log)) {
        assert!(Record::parse(&seal(&record)).is_ok(), "{record}");
        let mut paths = Vec::new();
        objects("", &record, &mut paths);
        let changed = |path: &str, change: &dyn Fn(&mut Value)| {
            let mut record = record.clone();
            change(record.pointer_mut(path).expect("the object"));
            (Record::parse(&seal(&record)), record)
        };
        for path in paths {
            let mut others = vec![
                changed(&path, &|object| object["unknown"] = 1.into()),
                changed(&path, &|object| object["command"] = Value::Null),
            ];
            if !path.is_empty() {
                let members = |object: &mut Value| {
                    let members = object.as_object().expect("an object").values().cloned();
                    *object = members.collect();
                };
                others.push(changed(&path, &members));
            }
            for (parsed, other) in others {
                assert!(parsed.is_err(), "{other}");
            }
        }
        for (path, text) in [
            ("/log", "skopeo-index/1"),
            ("/run", "1"),
            ("/time", "2026-11-24T00:00:00Z"),
        ] {
            let (parsed, _) = changed(path, &|name| *name = text.into());
            assert!(matches!(parsed, Err(RecordError::Json(_))), "{path}");
        }
    }
}

#[test]
fn line_longer_than_any_record_is_too_long() {
    let parsed = |length| Record::parse(&vec![b'x'; length]);
    assert_eq!(parsed(MAX_RECORD_LEN), Err(RecordError::Trailer));
    assert_eq!(parsed(MAX_RECORD_LEN + 1), Err(RecordError::TooLong));
}

#[test]
fn record_with_unknown_key_or_schema_version_is_rejected() {
    let mut entries = BTreeSet::new();
    for record in unseal(&logs()[0]) {
        let entry = record["entry"].as_object().expect("an object");
        let entry = entry.keys().next().expect("one").clone();
        assert!(Record::parse(&seal(&record)).is_ok(), "{record}");
        for place in ["", "/entry", &format!("/entry/{entry}")] {
            let mut more = record.clone();
            more.pointer_mut(place).expect("an object")["more"] = 0.into();
            assert!(
                matches!(Record::parse(&seal(&more)), Err(RecordError::Json(_))),
                "{more}"
            );
        }
        entries.insert(entry);
        let mut newer = record;
        newer["schema"] = 2.into();
        assert_eq!(Record::parse(&seal(&newer)), Err(RecordError::Schema(2)));
    }
    assert_eq!(
        Vec::from_iter(entries),
        ["end", "genesis", "run", "transition"]
    );
}

/// What a registry chooses fits beside the longest paths that an operator can give.
#[test]
fn record_of_the_longest_platforms_leaves_room_for_paths() {
    const PATH_MAX: usize = 4096;
    let manifests = (0..2 * MAX_SUMMARY_PLATFORMS).map(|n| {
        // Four bytes in UTF-8, twelve in a record.
        let part = |from: usize| format!("{from:02}{}", "\u{1f600}".repeat(40));
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of(&[]), "size": 1,
            "platform": { "os": part(n), "architecture": part(n), "variant": part(n) },
        })
    });
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OciImageIndex,
        "manifests": manifests.collect::<Vec<_>>(),
    });
    let index = index.to_string().into_bytes();
    let mut log = LogSample::new(9);
    assert!(log.run(&mut Run {
        policy: ONE_ATTEMPT,
        verifiers: Verifiers::default(),
        requests: &[request(Digest::of(&index))],
        jobs: 1,
        registry: &mut |_| Answer::Bytes(index.clone()),
        crash_after: None,
    }));
    let longest = lines(log.bytes())
        .iter()
        .map(Vec::len)
        .max()
        .expect("records");
    assert!(longest > 10_000, "{longest}");
    // --authfile and --cert-dir in argv; both storage roots in argv and in the request.
    assert!(longest + 6 * PATH_MAX <= MAX_RECORD_LEN, "{longest}");
}

#[test]
fn time_that_a_record_cannot_have_becomes_the_first_or_the_last_one() {
    let far = Duration::from_secs(1 << 40);
    for (time, shown) in [
        (UNIX_EPOCH - far, "1970-01-01T00:00:00.000Z"),
        (UNIX_EPOCH + far, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(Timestamp::from(time).as_str(), shown);
    }
}
