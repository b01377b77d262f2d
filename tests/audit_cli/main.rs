//! The audit log of the binary: `--audit-log` and `skopeo-index audit`.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

mod disk_faults;
mod export;
mod objects;
mod prove;
mod recovery;
mod rotation;
mod secrets;
mod show;
mod verify;
mod writing;
