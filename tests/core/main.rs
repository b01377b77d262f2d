//! The core without skopeo, registries or a clock.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod argv;
mod audit;
mod calls;
mod cancel;
mod digest;
mod disk;
mod doubt;
mod executor;
mod failure;
mod faults;
mod identity;
mod index;
mod json;
mod machine;
mod misses;
mod names;
mod others;
mod process;
mod readers;
mod request;
mod runs;
mod snapshots;
mod stand_in;
mod text;
mod walks;

use proptest::test_runner::{Config, FileFailurePersistence};

/// Where a property's counterexamples are kept.
fn regressions(file: &'static str) -> Config {
    let persistence = FileFailurePersistence::Direct(file);
    Config {
        failure_persistence: Some(Box::new(persistence)),
        ..Config::default()
    }
}

#[test]
fn a_state_can_be_neither_skipped_nor_forged_nor_used_twice() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}

/// A value is written with its keys in their order, as a log's records are.
fn assert_in_order(value: &impl serde::Serialize) {
    let written = serde_json::to_string(value).expect("JSON");
    let sorted = serde_json::to_value(value).expect("JSON").to_string();
    assert_eq!(written, sorted);
}
