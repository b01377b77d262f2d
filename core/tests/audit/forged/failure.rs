//! Stories of failures: who can tell a kind, and how long what is said of it is.

use crate::support::audit_log::sample::logs;
use crate::support::audit_log::unseal;
use serde_json::{Value, json};
use skopeo_index_core::escape::{MAX_ERROR_TEXT, truncate_message};

use super::change::{position, set_exit, transition};
use super::exchange::{ask_skopeo, by_auto, plain};
use super::{Change, Records, Story, codes};

/// The first failed attempt by raw.
fn failed(records: &mut Records) -> &mut Value {
    transition(records, "raw", "failed")
}

fn remove(value: &mut Value, key: &str) {
    value.as_object_mut().expect("an object").remove(key);
}

/// Its failure has another kind, with which it is the end of the fetch.
fn end(records: &mut Records, kind: &str) {
    let at = position(records, "raw", "/entry/transition/event/outcome/failed");
    let error = json!({ "command": { "kind": kind, "message": "m" } });
    let (run, transition) = (
        records[at]["run"].clone(),
        &mut records[at]["entry"]["transition"],
    );
    let event = &mut transition["event"];
    event["outcome"]["failed"]["error"] = error.clone();
    event["cause"] = json!({ "effect-failed": { "error": error } });
    event["to"] = "failed".into();
    let fetch = transition["fetch"].clone();
    let mut position = 0;
    records.retain(|record| {
        position += 1;
        let transition = &record["entry"]["transition"];
        position <= at + 1 || record["run"] != run || transition["fetch"] != fetch
    });
    let ends = records.iter_mut().filter(|record| record["run"] == run);
    for end in ends.filter_map(|record| record["entry"].get_mut("end")) {
        for (key, by) in [("committed", -1), ("failed", 1)] {
            end[key] = (end[key].as_i64().expect("a number") + by).into();
        }
    }
}

/// The registry client's attempt fails at an answer with this status, or without one.
fn end_client(records: &mut Records, status: Option<u16>, kind: &str) {
    remove(failed(records), "command");
    failed(records)["registry"] = plain();
    match status {
        Some(status) => failed(records)["registry"]["status"] = status.into(),
        None => remove(&mut failed(records)["registry"], "status"),
    }
    end(records, kind);
}

fn set_kind(records: &mut Records, kind: &str) {
    failed(records)["event"]["outcome"]["failed"]["error"]["command"]["kind"] = kind.into();
}

fn set_message(records: &mut Records, message: String) {
    failed(records)["event"]["outcome"]["failed"]["error"]["command"]["message"] = message.into();
}

/// Runs by skopeo.
#[rustfmt::skip]
const BY_SKOPEO: &[Story] = &[
    ("a digest mismatch of a killed skopeo", |r| {
        set_exit(failed(r), None, Some(9));
        end(r, "digest-mismatch");
    }, "exit-outcome"),
    ("a digest mismatch of a skopeo without end", |r| {
        set_exit(failed(r), None, None);
        end(r, "digest-mismatch");
    }, "exit-outcome"),
    ("a network error of a killed skopeo", |r| set_exit(failed(r), None, Some(9)), "exit-outcome"),
    ("a missing skopeo that exited", |r| end(r, "skopeo-not-found"), "exit-outcome"),
    ("a skopeo that was not started and exited", |r| end(r, "skopeo-not-started"), "exit-outcome"),
    ("a refusal of the client by a skopeo that exited", |r| end(r, "registry-client"), "exit-outcome"),
    ("an answer to the client of a skopeo that exited", |r| end(r, "unexpected-answer"), "exit-outcome"),
    ("a timeout of a skopeo that exited", |r| set_kind(r, "timeout"), "exit-outcome"),
    ("a failed command where none is run", |r| {
        let error = failed(r)["event"]["outcome"]["failed"]["error"].clone();
        let looked_up = transition(r, "raw", "looked-up");
        looked_up["event"]["outcome"] = json!({ "failed": { "error": error } });
    }, "missing-command"),
    ("an error text that was not truncated", |r| set_message(r, "x".repeat(MAX_ERROR_TEXT + 1)), "error-text"),
    ("an error text that was truncated too late", |r| {
        let text = format!("{}… (9999 bytes in all)", "x".repeat(MAX_ERROR_TEXT + 1));
        set_message(r, text);
    }, "error-text"),
    ("an error text that need not have been truncated", |r| {
        let text = format!("{}… (7 bytes in all)", "x".repeat(MAX_ERROR_TEXT));
        set_message(r, text);
    }, "error-text"),
    ("an object of another cache that has another digest", |r| {
        super::copy_from_cache(r);
        end(r, "digest-mismatch");
    }, "missing-command"),
];

/// Runs by the registry client, or skopeo.
#[rustfmt::skip]
const BY_AUTO: &[Story] = &[
    ("a digest mismatch by the client", |r| end_client(r, None, "digest-mismatch"), "missing-exchange"),
    ("bytes that are not an index by the client", |r| end_client(r, Some(401), "not-an-index"), "missing-exchange"),
    ("a credential helper of the client", |r| end_client(r, None, "credential-helper"), "missing-exchange"),
    ("a credentials file of the client", |r| end_client(r, Some(401), "credentials-file"), "missing-exchange"),
    ("a missing skopeo after the client's answer", |r| end_client(r, Some(404), "skopeo-not-found"), "missing-exchange"),
    ("a skopeo that was not started beside the client", |r| end_client(r, None, "skopeo-not-started"), "missing-exchange"),
    ("a failure of skopeo by the client", |r| end_client(r, None, "other"), "missing-exchange"),
    ("a missing manifest without an answer", |r| end_client(r, None, "not-found"), "missing-exchange"),
    ("a refusal without an answer", |r| end_client(r, None, "authentication"), "missing-exchange"),
    ("a missing manifest without exchange and command", |r| {
        end_client(r, None, "not-found");
        remove(failed(r), "registry");
    }, "missing-exchange"),
    ("an error text of the client that was not truncated", |r| {
        remove(failed(r), "command");
        failed(r)["registry"] = plain();
        remove(&mut failed(r)["registry"], "status");
        set_message(r, "x".repeat(MAX_ERROR_TEXT + 1));
    }, "error-text"),
    ("skopeo after an answer of 429", |r| ask_skopeo(r, 429), "unexpected-command"),
    ("skopeo after an answer of 503, before the last attempt", |r| ask_skopeo(r, 503), "unexpected-command"),
];

#[track_caller]
fn assert_found(records: &Records, stories: &[Story]) {
    for (name, change, expected) in stories {
        let codes = codes(records, *change);
        assert_eq!(codes.first(), Some(expected), "{name}: {codes:?}");
    }
}

#[test]
fn forged_failure_has_a_finding_of_its_kind() {
    let mut records = unseal(&logs()[0]);
    assert_found(&records, BY_SKOPEO);
    by_auto(&mut records);
    assert_found(&records, BY_AUTO);
}

#[test]
fn possible_failure_has_no_finding() {
    let by_skopeo: &[(&str, Change)] = &[
        ("a digest mismatch that skopeo found", |r| {
            end(r, "digest-mismatch")
        }),
        ("a killed skopeo", |r| {
            set_exit(failed(r), None, Some(9));
            end(r, "other");
        }),
        ("a missing skopeo with a long path", |r| {
            set_exit(failed(r), None, None);
            end(r, "skopeo-not-found");
            let text = Value::from("x".repeat(4096));
            let event = &mut failed(r)["event"];
            event["cause"]["effect-failed"]["error"]["command"]["message"] = text.clone();
            event["outcome"]["failed"]["error"]["command"]["message"] = text;
        }),
        ("a timeout", |r| {
            set_exit(failed(r), None, None);
            set_kind(r, "timeout");
        }),
        ("a rate limit that skopeo waited for", |r| {
            set_exit(failed(r), None, None);
            set_kind(r, "rate-limited");
        }),
        ("the longest error text", |r| {
            set_message(r, "x".repeat(MAX_ERROR_TEXT))
        }),
        ("an error text that was truncated", |r| {
            set_message(r, truncate_message(&"\u{20ac}".repeat(MAX_ERROR_TEXT)));
        }),
    ];
    let by_auto_or: &[(&str, Change)] = &[
        // Where skopeo is missing, which has no record then.
        ("a missing manifest by the client", |r| {
            end_client(r, Some(404), "not-found")
        }),
        ("a certificate that the client refuses", |r| {
            end_client(r, None, "registry-client")
        }),
        ("a token server that has none", |r| {
            end_client(r, Some(401), "no-registry")
        }),
        ("a status that tells more than skopeo", |r| {
            ask_skopeo(r, 403);
            end(r, "authentication");
        }),
        ("a status that skopeo takes for another", |r| {
            ask_skopeo(r, 400);
            end(r, "unexpected-answer");
        }),
        ("skopeo after an answer of 401", |r| ask_skopeo(r, 401)),
        ("skopeo after an answer of 503 to the last attempt", |r| {
            ask_skopeo(r, 503);
            let at = position(r, "raw", "/entry/transition/event/outcome/failed");
            let run = r[at]["run"].clone();
            let begun =
                |record: &&mut Value| record["run"] == run && record["entry"].get("run").is_some();
            let begun = r.iter_mut().find(begun).expect("a run");
            begun["entry"]["run"]["policy"]["attempts"] = 1.into();
            let error = r[at]["entry"]["transition"]["event"]["outcome"]["failed"]["error"].clone();
            end(r, "network");
            let event = &mut r[at]["entry"]["transition"]["event"];
            event["outcome"]["failed"]["error"] = error.clone();
            event["cause"] = json!({ "retries-exhausted": { "attempts": 1, "error": error } });
        }),
    ];
    let mut records = unseal(&logs()[0]);
    for (name, change) in by_skopeo {
        assert_eq!(codes(&records, *change), [""; 0], "{name}");
    }
    by_auto(&mut records);
    for (name, change) in by_auto_or {
        assert_eq!(codes(&records, *change), [""; 0], "{name}");
    }
}
