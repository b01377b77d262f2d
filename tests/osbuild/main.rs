//! The osbuild source, tested from the host's side of the socket.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod audit_log;
mod copy;
mod download;
mod failures;
mod hang_up;
mod memory;
mod packets;
mod replies;
mod schema;
mod start;
