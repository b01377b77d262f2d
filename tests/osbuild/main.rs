//! The osbuild source, against a host that speaks the protocol from the other
//! side.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod host;
mod protocol;
mod schema;
mod service;
