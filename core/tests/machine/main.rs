//! Tests of `machine`: the transition table, transitions, random walks, guarantees of
//! the types, texts of causes.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod cause;
mod random_walks;
mod samples;
mod table;
mod transitions;
mod types;
mod values;

#[path = "../support/mod.rs"]
mod support;

/// Fails unless the value is written with sorted keys, as an audit log needs.
#[track_caller]
fn assert_sorted_keys(value: &impl serde::Serialize) {
    let written = serde_json::to_string(value).expect("JSON");
    let sorted = serde_json::to_value(value).expect("JSON").to_string();
    assert_eq!(written, sorted);
}
