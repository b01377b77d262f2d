//! Stories of runs with verifiers.

use crate::support::audit_log::sample::log_with_verifiers;
use crate::support::audit_log::{all_findings, rechain, unseal};
use serde_json::{Value, json};

use super::change::{position, transition};
use super::{Change, Records, Story};

/// The first verification, which approves the bytes.
fn approved(records: &mut Records) -> &mut Value {
    transition(records, "raw", "verifier-exited")
}

/// The only verification that refuses them.
fn refused(records: &mut Records) -> &mut Value {
    let is_refused = |record: &&mut Value| {
        let exit = record.pointer("/entry/transition/event/outcome/verifier-exited/status");
        exit.is_some_and(|status| *status == 1)
    };
    let record = records.iter_mut().find(is_refused);
    &mut record.expect("a refusal")["entry"]["transition"]
}

fn argv(transition: &mut Value) -> &mut Vec<Value> {
    let argv = transition["verifier"]["command"]["argv"].as_array_mut();
    argv.expect("a list")
}

fn replace(transition: &mut Value, from: &str, to: &str) {
    let text = transition["verifier"].to_string();
    assert!(text.contains(from), "{from}");
    transition["verifier"] = serde_json::from_str(&text.replace(from, to)).expect("JSON");
}

fn set_exit(transition: &mut Value, exit: Option<i64>, signal: Option<i64>) {
    let command = transition["verifier"]["command"].as_object_mut();
    let command = command.expect("a command");
    command.remove("exit");
    command.extend(exit.map(|exit| ("exit".to_owned(), exit.into())));
    command.extend(signal.map(|signal| ("signal".to_owned(), signal.into())));
}

fn remove(value: &mut Value, key: &str) {
    let removed = value.as_object_mut().expect("an object").remove(key);
    assert!(removed.is_some(), "{key}");
}

/// Leaves the verifications of the first fetch out.
fn skip_verifiers(records: &mut Records, count: usize) {
    let first = position(
        records,
        "raw",
        "/entry/transition/event/outcome/verifier-exited",
    );
    records.drain(first..first + count);
}

#[rustfmt::skip]
const STORIES: &[Story] = &[
    ("an approval without a verifier", |r| remove(approved(r), "verifier"), "missing-verifier"),
    ("a refusal without a verifier", |r| remove(refused(r), "verifier"), "missing-verifier"),
    ("no verdict without a verifier", |r| {
        let failed = refused(r);
        remove(failed, "verifier");
        let error = json!({ "verifier": { "message": "ask: command not found" } });
        failed["event"]["outcome"] = json!({ "failed": { "error": error } });
        failed["event"]["cause"] = json!({ "effect-failed": { "error": error } });
    }, "missing-verifier"),
    ("a verifier that a registry answered", |r| {
        let answer = json!({ "endpoint": "https://localhost", "repository": "app" });
        approved(r)["verifier"]["command"]["answer"] = answer;
    }, "invalid-answer"),
    ("a verifier that stages", |r| {
        let verifier = approved(r)["verifier"].clone();
        transition(r, "raw", "staged")["verifier"] = verifier;
    }, "unexpected-verifier"),
    ("a verifier that publishes", |r| {
        let verifier = approved(r)["verifier"].clone();
        transition(r, "raw", "published")["verifier"] = verifier;
    }, "unexpected-verifier"),
    ("a verifier that fetches", |r| {
        let verifier = approved(r)["verifier"].clone();
        transition(r, "raw", "fetched")["verifier"] = verifier;
    }, "unexpected-verifier"),
    ("skopeo in place of a verifier", |r| {
        let command = transition(r, "raw", "fetched")["command"].clone();
        remove(approved(r), "verifier");
        approved(r)["command"] = command;
    }, "missing-verifier"),
    ("skopeo beside a verifier", |r| {
        let command = transition(r, "raw", "fetched")["command"].clone();
        approved(r)["command"] = command;
    }, "unexpected-command"),

    ("another image in argv", |r| replace(approved(r), "localhost/app@", "localhost/other@"), "verifier-arguments"),
    ("another digest in argv", |r| {
        let digest = approved(r)["request"]["digest"].as_str().expect("text").to_owned();
        replace(approved(r), &digest, &format!("sha256:{}", "0".repeat(64)));
    }, "verifier-arguments"),
    ("a file out of the cache", |r| replace(approved(r), "/cache/.skopeo", "/etc/.skopeo"), "verifier-arguments"),
    ("the cache's own object", |r| {
        let digest = approved(r)["request"]["digest"].as_str().expect("text").to_owned();
        argv(approved(r))[0] = format!("--file=/cache/{digest}").into();
    }, "verifier-arguments"),
    ("a file by a path that climbs", |r| replace(approved(r), "staging-000001/", "staging-000001/../"), "verifier-arguments"),
    ("a file of another name", |r| replace(approved(r), "index.json", "other.json"), "verifier-arguments"),
    ("one more argument", |r| argv(approved(r)).push("--force".into()), "verifier-arguments"),
    ("one argument less", |r| drop(argv(approved(r)).pop()), "verifier-arguments"),
    ("the arguments of the other verifier", |r| argv(approved(r)).clear(), "verifier-arguments"),

    ("an approval by exit status 1", |r| set_exit(approved(r), Some(1), None), "verifier-exit"),
    ("an approval by a killed verifier", |r| set_exit(approved(r), None, Some(9)), "verifier-exit"),
    ("an approval without an exit", |r| set_exit(approved(r), None, None), "verifier-exit"),
    ("a refusal by exit status 0", |r| set_exit(refused(r), Some(0), None), "verifier-exit"),
    ("exit and signal at once", |r| set_exit(approved(r), Some(0), Some(9)), "invalid-exit"),
    ("exit status 256", |r| set_exit(approved(r), Some(256), None), "invalid-exit"),
    ("an approval without an output", |r| remove(&mut approved(r)["verifier"], "output"), "verifier-exit"),
    ("a verifier of a day", |r| approved(r)["verifier"]["command"]["milliseconds"] = 86_400_000.into(), "command-duration"),

    ("publishing without the last verifier", |r| skip_verifiers(r, 1), "verifier-arguments"),
    ("publishing without any verifier", |r| skip_verifiers(r, 2), "missing-verifier"),
    ("a run with one verifier less", |r| {
        let at = position(r, "raw", "/entry/run");
        let verifiers = r[at]["entry"]["run"]["verifiers"].as_array_mut();
        verifiers.expect("a list").pop();
    }, "replay"),
    ("a run without verifiers", |r| {
        let at = position(r, "raw", "/entry/run");
        remove(&mut r[at]["entry"]["run"], "verifiers");
    }, "unexpected-verifier"),
    ("a run with other verifiers", |r| {
        let at = position(r, "raw", "/entry/run");
        r[at]["entry"]["run"]["verifiers"] = json!([["/bin/true", "x"], ["/bin/also"]]);
    }, "verifier-arguments"),
    ("an approval that refuses", |r| {
        refused(r)["event"]["outcome"]["verifier-exited"]["status"] = 0.into();
    }, "verifier-exit"),
];

#[test]
fn forged_story_of_a_verifier_has_a_finding_of_its_kind() {
    let log = log_with_verifiers();
    assert_eq!(all_findings(&log, None).1, []);
    let records = unseal(&log);
    let mut wrong = Vec::new();
    for (name, change, expected) in STORIES {
        let mut forged = records.clone();
        change(&mut forged);
        assert_ne!(forged, records, "{name}: no change");
        let found = all_findings(&rechain(&forged), None).1;
        let first = found.first().map(|finding| finding.kind.code());
        if first != Some(expected) {
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            wrong.push((name, expected, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn possible_story_of_a_verifier_has_no_finding() {
    /// The refusing verifier ends by no exit of its own.
    fn fail(records: &mut Records, signal: Option<i64>) {
        set_exit(refused(records), None, signal);
        let failed = refused(records);
        if signal.is_none() {
            remove(&mut failed["verifier"], "output");
        }
        let error = json!({ "verifier": { "message": "refuse: no exit" } });
        failed["event"]["outcome"] = json!({ "failed": { "error": error } });
        failed["event"]["cause"] = json!({ "effect-failed": { "error": error } });
    }
    let possible: &[(&str, Change)] = &[
        ("a verifier that is killed at its deadline", |r| {
            fail(r, None)
        }),
        ("a verifier that is killed by a signal", |r| {
            fail(r, Some(9))
        }),
        ("another program with the same arguments", |r| {
            approved(r)["verifier"]["path"] = "/opt/ask".into();
            approved(r)["verifier"]["sha256"] = Value::Null;
        }),
    ];
    for (name, change) in possible {
        let mut records = unseal(&log_with_verifiers());
        change(&mut records);
        assert_eq!(all_findings(&rechain(&records), None).1, [], "{name}");
    }
}
