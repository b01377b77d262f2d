//! The binary against registries and container storages, correct and misbehaving.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

mod client;
mod credentials;
mod differential;
mod docker_registry;
mod hostile;
mod indexes;
mod inspect;
mod kinds;
mod resolve;
mod resolve_manifest;
mod storage;
mod tls_and_mirrors;
