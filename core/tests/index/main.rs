//! Tests of `index`: which documents are indexes, and why others are not.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod descriptors;
mod json;
mod oracle_properties;
mod rules;

#[path = "../support/mod.rs"]
mod support;
