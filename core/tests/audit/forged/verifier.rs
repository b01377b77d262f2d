//! Stories of runs with verifiers.

use crate::support::audit_log::sample::log_with_verifiers;
use crate::support::audit_log::{all_findings, rechain, unseal};
use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;

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

/// Changes the message in the outcome, and in the cause of a failure.
fn set_message(transition: &mut Value, message: &str) {
    let event = &mut transition["event"];
    event["outcome"]["verifier-exited"]["message"] = message.into();
    if let Some(cause) = event.pointer_mut("/cause/refused-by-verifier") {
        cause["message"] = message.into();
    }
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

    ("another program", |r| approved(r)["verifier"]["path"] = "/bin/true".into(), "verifier-program"),
    ("another program of that name", |r| approved(r)["verifier"]["path"] = "/tmp/ask".into(), "verifier-program"),
    ("a program by a relative path", |r| approved(r)["verifier"]["path"] = "bin/ask".into(), "verifier-program"),
    ("a program without a path", |r| approved(r)["verifier"]["path"] = "".into(), "verifier-program"),
    ("a run with a verifier that did not run", |r| {
        let at = position(r, "raw", "/entry/run");
        r[at]["entry"]["run"]["verifiers"][0][0] = "cosign".into();
    }, "verifier-program"),
    ("a message of an approval", |r| set_message(approved(r), "ask: BAD KEY"), "verifier-message"),
    ("a message of another program", |r| set_message(refused(r), "cosign: BAD KEY"), "verifier-message"),
    ("a message that was not truncated", |r| set_message(refused(r), &format!("refuse: {}", "x".repeat(2048))), "verifier-message"),
    ("a message of no output", |r| {
        refused(r)["verifier"]["output"] = Digest::of(b"").to_string().into();
    }, "verifier-message"),

    ("an approval by exit status 1", |r| set_exit(approved(r), Some(1), None), "verifier-exit"),
    ("an approval by a killed verifier", |r| set_exit(approved(r), None, Some(9)), "verifier-exit"),
    ("an approval without an exit", |r| set_exit(approved(r), None, None), "verifier-exit"),
    ("a refusal by exit status 0", |r| set_exit(refused(r), Some(0), None), "verifier-exit"),
    ("exit and signal at once", |r| set_exit(approved(r), Some(0), Some(9)), "invalid-exit"),
    ("exit status 256", |r| set_exit(approved(r), Some(256), None), "invalid-exit"),
    ("an approval without an output", |r| remove(&mut approved(r)["verifier"], "output"), "verifier-exit"),
    ("a verifier of millennia", |r| approved(r)["verifier"]["command"]["milliseconds"] = 1_000_000_000_000_000_u64.into(), "command-duration"),

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
    /// The first verifier is given as `program`, and found at `path`.
    fn set_program(records: &mut Records, program: &str, path: &str) {
        for record in records {
            let entry = &mut record["entry"];
            if let Some(given) = entry.pointer_mut("/run/verifiers/0/0") {
                *given = program.into();
            }
            if let Some(found) = entry.pointer_mut("/transition/verifier/path")
                && *found == "/bin/ask"
            {
                *found = path.into();
            }
        }
    }
    let possible: &[(&str, Change)] = &[
        ("a verifier that is killed at its deadline", |r| {
            fail(r, None)
        }),
        ("a verifier that is killed by a signal", |r| {
            fail(r, Some(9))
        }),
        ("a program that could not be read", |r| {
            approved(r)["verifier"]["sha256"] = Value::Null;
        }),
        ("a program that was found on PATH", |r| {
            set_program(r, "ask", "/opt/it's \u{fffd}/ask");
        }),
        ("a program by a relative path", |r| {
            set_program(r, "./a/./../ask", "/home/u/a/../ask");
        }),
        ("a program by a path with dots", |r| {
            set_program(r, "/opt/./a//../ask", "/opt/a/../ask");
        }),
        ("a verifier that prints nothing", |r| {
            refused(r)["verifier"]["output"] = Digest::of(b"").to_string().into();
            set_message(refused(r), "refuse: no output");
        }),
        ("a verifier that prints empty lines", |r| {
            set_message(refused(r), "refuse: no output");
        }),
    ];
    for (name, change) in possible {
        let mut records = unseal(&log_with_verifiers());
        change(&mut records);
        assert_eq!(all_findings(&rechain(&records), None).1, [], "{name}");
    }
}
