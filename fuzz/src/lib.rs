//! Fuzz targets as functions, so that a fuzzer drives them and a test replays their
//! corpora on any toolchain.
#![deny(missing_docs)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a target panics where its property doesn't hold"
)]

pub mod audit;
pub mod digest;
pub mod gate;
pub mod index;
pub mod note;
pub mod packet;
pub mod registry;
pub mod request;
pub mod stderr;
pub mod step;

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Target); 10] = [
    ("audit", audit::target),
    ("digest", digest::target),
    ("gate", gate::target),
    ("index", index::target),
    ("note", note::target),
    ("packet", packet::target),
    ("registry", registry::target),
    ("request", request::target),
    ("stderr", stderr::target),
    ("step", step::target),
];

/// Fails unless a text is one bounded line without control characters.
fn assert_harmless(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 1 << 16, "{} bytes", text.len());
}
