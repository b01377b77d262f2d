//! Changes to the records of a log.

use serde_json::{Value, json};

use super::Records;

/// The position of the first record that has this pointer, and its run this method.
pub(super) fn position(records: &Records, method: &str, pointer: &str) -> usize {
    let mut current = "";
    for (at, record) in records.iter().enumerate() {
        if let Some(run) = record["entry"].get("run") {
            current = run["policy"]["method"].as_str().expect("text");
        }
        if current == method && record.pointer(pointer).is_some() {
            return at;
        }
    }
    panic!("no {pointer} in a run by {method}")
}

/// A transition by its method and outcome.
pub(super) fn transition<'r>(
    records: &'r mut Records,
    method: &str,
    outcome: &str,
) -> &'r mut Value {
    let pointer = format!("/entry/transition/event/outcome/{outcome}");
    let at = position(records, method, &pointer);
    &mut records[at]["entry"]["transition"]
}

/// A transition by raw with bytes, which most stories change.
pub(super) fn fetched(records: &mut Records) -> &mut Value {
    transition(records, "raw", "fetched")
}

pub(super) fn argv(transition: &mut Value) -> &mut Vec<Value> {
    transition["command"]["argv"]
        .as_array_mut()
        .expect("a list")
}

/// Replaces text in every argument of a command.
pub(super) fn replace(transition: &mut Value, from: &str, to: &str) {
    let mut replaced = false;
    for argument in argv(transition) {
        let text = argument.as_str().expect("text");
        replaced |= text.contains(from);
        *argument = text.replace(from, to).into();
    }
    assert!(replaced, "{from}");
}

pub(super) fn set_argv(transition: &mut Value, argv: &[&str]) {
    transition["command"]["argv"] = json!(argv);
}

pub(super) fn set_exit(transition: &mut Value, exit: Option<i64>, signal: Option<i64>) {
    let command = transition["command"].as_object_mut().expect("a command");
    command.remove("exit");
    command.extend(exit.map(|exit| ("exit".to_owned(), exit.into())));
    command.extend(signal.map(|signal| ("signal".to_owned(), signal.into())));
}

pub(super) fn remove_command(transition: &mut Value) {
    let removed = transition
        .as_object_mut()
        .expect("an object")
        .remove("command");
    assert!(removed.is_some());
}

/// Copies the command of another transition.
pub(super) fn add_command(records: &mut Records, method: &str, outcome: &str, from: (&str, &str)) {
    let command = transition(records, from.0, from.1)["command"].clone();
    transition(records, method, outcome)["command"] = command;
}

/// Makes all runs copy from a cache, without commands.
pub(super) fn copy_from_cache(records: &mut Records) {
    for record in records {
        if let Some(run) = record["entry"].get_mut("run") {
            run["source"] = json!({ "cache": "/other" });
        } else if let Some(transition) = record["entry"].get_mut("transition") {
            transition
                .as_object_mut()
                .expect("an object")
                .remove("command");
        }
    }
}

/// The first object that a later run found in the cache.
pub(super) fn hit(records: &mut Records) -> &mut Value {
    let pointer = "/looked-up/entry/file/content";
    let outcome = format!("/entry/transition/event/outcome{pointer}");
    let at = position(records, "raw", &outcome);
    records[at].pointer_mut(&outcome).expect("content")
}

/// Sets the size of an object wherever it is mentioned.
pub(super) fn set_size(records: &mut Records, size: u64) {
    let outcome = "/entry/transition/event/outcome";
    let content = |record: &mut Value| {
        for place in ["fetched", "published/readBack/file"] {
            if let Some(content) = record.pointer_mut(&format!("{outcome}/{place}/content")) {
                content["size"] = size.into();
            }
        }
    };
    records.iter_mut().for_each(content);
}

/// Sets a member of an index's summary wherever it is mentioned.
pub(super) fn set_index(records: &mut Records, key: &str, to: Value) {
    let text = records[position(records, "raw", "/entry/transition/event/outcome/fetched")]
        .pointer("/entry/transition/event/outcome/fetched/content/classification")
        .expect("a classification")
        .to_string();
    let mut changed: Value = serde_json::from_str(&text).expect("JSON");
    changed["index"][key] = to;
    replace_text(records, &text, &changed.to_string());
}

/// Replaces text in all records.
pub(super) fn replace_text(records: &mut Records, from: &str, to: &str) {
    let text = Value::from(std::mem::take(records)).to_string();
    assert!(text.contains(from), "{from}");
    *records = serde_json::from_str(&text.replace(from, to)).expect("JSON");
}

/// Changes the first run.
pub(super) fn set_run(records: &mut Records, change: fn(&mut Value)) {
    let at = position(records, "raw", "/entry/run");
    change(&mut records[at]["entry"]["run"]);
}

/// The failure of the offline run becomes that of a file of this size.
pub(super) fn set_oversized(records: &mut Records, size: u64) {
    let at = records
        .iter()
        .rposition(|record| record["entry"].get("transition").is_some());
    let event = &mut records[at.expect("one")]["entry"]["transition"]["event"];
    event["outcome"] = json!({ "looked-up": { "entry": { "oversized": { "size": size } } } });
    event["cause"] = json!({ "not-an-index": { "reason": { "too-large": { "size": size } } } });
}

pub(super) fn set_staging(records: &mut Records, name: &str) {
    transition(records, "raw", "staged")["event"]["outcome"]["staged"]["staging"] = name.into();
}

pub(super) fn set_quarantined(records: &mut Records, name: &str) {
    let transition = transition(records, "copy", "quarantined");
    transition["event"]["outcome"]["quarantined"]["name"] = name.into();
}

/// Inserts the first record of a fetch again, behind its last.
pub(super) fn insert_after_end(records: &mut Records, count: usize) {
    let to = |record: &Value| record["entry"]["transition"]["event"]["to"] == "committed";
    let end = records.iter().position(to).expect("one");
    let of_fetch = |record: &&Value| {
        record["run"] == records[end]["run"]
            && record["entry"]["transition"]["fetch"]
                == records[end]["entry"]["transition"]["fetch"]
    };
    let again: Vec<_> = records
        .iter()
        .filter(of_fetch)
        .take(count)
        .cloned()
        .collect();
    records.splice(end + 1..=end, again);
}

pub(super) fn add_to_end(records: &mut Records, key: &str, by: i64) {
    let at = position(records, "raw", "/entry/end");
    let number = &mut records[at]["entry"]["end"][key];
    *number = (number.as_i64().expect("a number") + by).into();
}

pub(super) fn set_time(records: &mut Records, time: &str) {
    records.last_mut().expect("a record")["time"] = time.into();
}
