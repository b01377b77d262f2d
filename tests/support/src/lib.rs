//! What the tests of skopeo-index share.
//!
//! | to test | use |
//! |---|---|
//! | against a registry, well-behaved or hostile | [`loopback`] |
//! | parsing, against a second and slower reader | [`oracle`] |
//! | audit logs: rewrite, tamper with, verify one in memory | [`audit_log`] |
//! | records and printed JSON, against the schemas | [`schema`] |
//! | properties, with counterexamples that are kept | `property` |
//! | store, executor or session without skopeo | `program::fakes` |
//! | the binary, with a cache of its own | `program::harness` |
//! | the osbuild source, from the host's side | `program::host` |
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

pub mod loopback;
#[cfg(feature = "program")]
pub mod program;
pub mod schema;

// What needs core alone lives with core's own tests, and is published with them.
#[path = "../../../core/tests/support/mod.rs"]
mod pure;
pub use pure::{audit_log, oracle, property};
