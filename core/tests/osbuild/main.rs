//! Tests of `osbuild`: messages of the host-service protocol.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod call;
mod manifest;
mod pins;
mod reply;
