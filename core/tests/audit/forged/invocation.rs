//! Stories of who ran what, and who answered skopeo.

use crate::support::audit_log::sample::logs;
use crate::support::audit_log::unseal;
use serde_json::{Value, json};

use super::change::{fetched, remove_command, transition};
use super::{Records, Story, codes};

fn invocation(records: &mut Records) -> &mut Value {
    let run = records
        .iter_mut()
        .find_map(|record| record["entry"].get_mut("run"));
    &mut run.expect("a run")["invocation"]
}

fn answer(records: &mut Records) -> &mut Value {
    &mut fetched(records)["command"]["answer"]
}

fn set_label(records: &mut Records, key: &str, value: &str) {
    invocation(records)["labels"][key] = value.into();
}

#[rustfmt::skip]
const STORIES: &[Story] = &[
    ("a label with an empty key", |r| set_label(r, "", "x"), "invocation"),
    ("a label with a space in its key", |r| set_label(r, "a b", "x"), "invocation"),
    ("a label with a key of 64 characters", |r| set_label(r, &"k".repeat(64), "x"), "invocation"),
    ("a label with a value of 256 characters", |r| set_label(r, "k", &"v".repeat(256)), "invocation"),
    ("a label with a comma", |r| set_label(r, "k", "a,b=c"), "invocation"),
    ("a label with a newline", |r| set_label(r, "k", "a\nb"), "invocation"),
    ("a label in another script", |r| set_label(r, "k", "\u{e9}"), "invocation"),
    ("33 labels", |r| (0..31).for_each(|n| set_label(r, &n.to_string(), "")), "invocation"),
    ("a host without a name", |r| invocation(r)["host"] = "".into(), "invocation"),
    ("a host name of 65 characters", |r| invocation(r)["host"] = "h".repeat(65).into(), "invocation"),
    ("a host name with a control character", |r| invocation(r)["host"] = "h\u{1b}[2J".into(), "invocation"),
    ("a user without a name", |r| invocation(r)["user"] = "".into(), "invocation"),
    ("a user name of 256 characters", |r| invocation(r)["user"] = "u".repeat(256).into(), "invocation"),
    ("a user name with a newline", |r| invocation(r)["user"] = "u\n".into(), "invocation"),
    ("no user id", |r| invocation(r)["uid"] = u32::MAX.into(), "invocation"),
    ("a login without a user id", |r| invocation(r)["loginUid"] = u32::MAX.into(), "invocation"),
    ("process 0", |r| invocation(r)["pid"] = 0.into(), "invocation"),
    ("a process beyond Linux's limit", |r| invocation(r)["pid"] = ((1 << 22) + 1).into(), "invocation"),
    ("labels that are a list", |r| invocation(r)["labels"] = json!([]), "invalid-record"),
    ("a machine id that is not a hash", |r| invocation(r)["machine"] = "b08dfa6083e7567a1921a715000001fb".into(), "invalid-record"),
    ("a claim of the environment", |r| invocation(r)["sudoUser"] = "root".into(), "invalid-record"),

    ("an answer of a URL with a path", |r| answer(r)["endpoint"] = "http://localhost/v2".into(), "invalid-answer"),
    ("an answer of no URL", |r| answer(r)["endpoint"] = "localhost".into(), "invalid-answer"),
    ("an answer by another protocol", |r| answer(r)["endpoint"] = "ftp://localhost".into(), "invalid-answer"),
    ("an answer of no repository", |r| answer(r)["repository"] = "".into(), "invalid-answer"),
    ("an answer of a repository with a tag", |r| answer(r)["repository"] = "app:latest".into(), "invalid-answer"),
    ("an answer of a repository that climbs", |r| answer(r)["repository"] = "../app".into(), "invalid-answer"),
    ("an answer over plain HTTP with TLS verification", |r| {
        for record in r.iter_mut() {
            if let Some(location) = record.pointer_mut("/entry/transition/request/location/docker") {
                location["tlsVerify"] = "always".into();
            }
            let argv = record.pointer_mut("/entry/transition/command/argv").and_then(Value::as_array_mut);
            for argument in argv.into_iter().flatten() {
                *argument = argument.as_str().expect("text").replace("verify=false", "verify=true").into();
            }
        }
    }, "invalid-answer"),
    ("an answer to a command without end", |r| {
        let command = &mut transition(r, "raw", "failed")["command"];
        command["answer"] = json!({ "endpoint": "http://localhost", "repository": "app" });
        command.as_object_mut().expect("an object").remove("exit");
        let error = &mut transition(r, "raw", "failed")["event"]["outcome"]["failed"]["error"];
        error["command"]["kind"] = "timeout".into();
    }, "invalid-answer"),
    ("an answer to a look at a copy", |r| {
        let command = &mut transition(r, "copy", "copy-read")["command"];
        command["answer"] = json!({ "endpoint": "http://localhost", "repository": "app" });
    }, "invalid-answer"),
    ("an answer without a command", |r| {
        let answer = answer(r).clone();
        remove_command(fetched(r));
        fetched(r)["answer"] = answer;
    }, "invalid-record"),
];

#[test]
fn forged_invocation_or_answer_has_a_finding_of_its_kind() {
    let records = unseal(&logs()[0]);
    for (name, change, expected) in STORIES {
        let codes = codes(&records, *change);
        assert_eq!(codes.first(), Some(expected), "{name}: {codes:?}");
    }
}

#[test]
fn possible_invocation_or_answer_has_no_finding() {
    let records = unseal(&logs()[0]);
    let possible: &[(&str, super::Change)] = &[
        ("32 labels", |r| {
            (0..30).for_each(|n| set_label(r, &n.to_string(), ""))
        }),
        ("no labels, no host, no user", |r| {
            *invocation(r) = json!({ "pid": 1 << 22, "uid": u32::MAX - 1 });
        }),
        (
            "a mirror",
            |r| *answer(r) = json!({ "endpoint": "https://m.example:5000", "repository": "x/y" }),
        ),
        ("a registry that is not known", |r| {
            let command = fetched(r)["command"].as_object_mut().expect("an object");
            command.remove("answer");
        }),
        ("an error that a registry answered", |r| {
            let answer = answer(r).clone();
            transition(r, "raw", "failed")["command"]["answer"] = answer;
        }),
    ];
    for (name, change) in possible {
        assert_eq!(codes(&records, *change), [""; 0], "{name}");
    }
}
