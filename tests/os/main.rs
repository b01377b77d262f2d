//! Primitives of the operating system: cancellation, locks, signals.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod cancel;
mod file;
mod lock;
mod signals;
