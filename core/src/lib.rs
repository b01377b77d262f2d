//! Verifies container image indexes by digest: the pure core of `skopeo-index`.
//!
//! No I/O, no clock, no randomness: the caller performs effects and passes the results
//! in. Tests, model checkers, fuzzers and other programs drive it without a process, a
//! file or a network.
//!
//! ```text
//!            hit, rehashed                    (bytes)        (an index)     (SHA-256 = digest)   (durable)
//!  Pending ───────────────────────────────────────────────────────────────────────────────────▶ Committed
//!     │ miss                                                                                        ▲
//!     ▼                                                                                             │
//!  Staged ──────▶ Copied ──────▶ Inspected ──────▶ Verified ────────────────────────────────────────┘
//!     ▲  │ transient failure: next attempt, after a backoff
//!     └──┘                     any state ──▶ Failed(state it failed in, cause)
//! ```
//!
//! | module | what it has |
//! |---|---|
//! | [`machine`] | a fetch as a typed state machine: start here |
//! | [`index`] | bytes → an index, or the rule that they break |
//! | [`request`] | image names, references, locations and osbuild items, strictly parsed |
//! | [`skopeo`] | skopeo's commands, and what its messages mean |
//! | [`registry`] | the registry protocol and the configuration that registries have on a host |
//! | [`verifier`] | command lines of programs that approve verified bytes |
//! | [`osbuild`] | the messages of osbuild's host-service protocol |
//! | [`layout`] | the names of files and directories below a cache |
//! | [`audit`] | the audit log: records, Merkle tree, verification, statements |
//! | [`digest`], [`escape`], [`redact`] | SHA-256 digests; escaping of untrusted text; removal of secrets |
//!
//! `examples/drive.rs` drives a fetch by hand, and `examples/verify_log.rs` verifies an
//! audit log.
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

pub mod audit;
pub mod digest;
pub mod escape;
pub mod index;
mod keys;
pub mod layout;
pub mod machine;
mod object;
pub mod osbuild;
pub mod redact;
pub mod registry;
pub mod request;
pub mod skopeo;
pub mod verifier;

/// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
