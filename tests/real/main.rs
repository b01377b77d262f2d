//! The binary on real parts: skopeo, registries, a container storage.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

mod audit;
mod command_line;
mod concurrency;
mod differential;
mod docker_registry;
mod environment;
mod harness;
mod hostile;
mod install;
mod json;
mod progress;
mod registry;
mod storage;
mod verify;
