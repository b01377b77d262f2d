//! Tests of `registry`: the gate and the registry client.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod certificates;
mod gate;
mod gate_properties;
mod machine;
mod skopeo;
