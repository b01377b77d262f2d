//! Output on a terminal, to a reader that stalls, and completions in a real shell.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

mod completions;
mod escapes;
mod password;
mod progress;
mod screen;
mod stalled_reader;
mod variables;
mod writer;

use test_support::loopback::{Registry, samples};

/// Adds documents to a registry; returns their references.
fn put(registry: &Registry, count: usize) -> Vec<String> {
    let put = |n| registry.put(samples::distinct(n));
    let reference = |digest| format!("{}/app@{digest}", registry.address());
    (0..count).map(put).map(reference).collect()
}

fn digest_of(reference: &str) -> &str {
    reference.split_once('@').expect("a digest").1
}
