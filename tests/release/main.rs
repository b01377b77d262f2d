//! What a release has besides the program: crates, a bill of materials, licenses, the static
//! binary.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod crates;
mod licenses;
mod sbom;
mod static_binary;
