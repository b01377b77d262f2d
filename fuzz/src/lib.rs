//! What each fuzz target holds. A target is a function, so that a fuzzer drives
//! it and a test replays what fuzzers have found, on any toolchain.
#![deny(missing_docs)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a target that doesn't hold panics"
)]

pub mod audit;
pub mod digest;
pub mod index;
pub mod packet;
pub mod request;
pub mod stderr;
pub mod step;


mod doubt;
#[path = "../../tests/core/json.rs"]
#[allow(dead_code, reason = "its writer is for the tests of the core")]
mod json;

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Target); 7] = [
    ("audit", audit::target),
    ("digest", digest::target),
    ("index", index::target),
    ("packet", packet::target),
    ("request", request::target),
    ("stderr", stderr::target),
    ("step", step::target),
];

/// A text for people is one line and has nothing that steers a terminal.
fn assert_harmless(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 1 << 16, "{} bytes", text.len());
}
