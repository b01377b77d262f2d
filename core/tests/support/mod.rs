//! What these tests share with those of the program, whose crate test-support has it as well.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test binary uses a part; a test that can't go on fails"
)]

pub mod audit_log;
pub mod oracle;
pub mod property;
pub mod samples;
