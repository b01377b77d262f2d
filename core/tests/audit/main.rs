//! Tests of `audit`: records, verification, Merkle tree, checkpoints, notes, proofs, tiles,
//! statements.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails; golden files are read, Python is run"
)]

mod checkpoint;
mod forged;
mod golden;
mod invocation;
mod line;
mod merkle;
mod note;
mod proof;
mod record;
mod replay;
mod statement;
mod tampering;
mod tile;

#[path = "../support/mod.rs"]
mod support;
