//! Tests of `registry`: what a registry client sends and reads.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod auth_file;
mod challenge;
mod registries_conf;
mod repository;
mod retry_after;
mod token;
mod url;

#[path = "../support/mod.rs"]
mod support;

use proptest::prelude::*;
use skopeo_index_core::registry::Repository;

fn repository(name: &str) -> Repository {
    Repository::of(&name.parse().expect("a name"))
}

/// Names of few parts, so that two of them often have parts in common.
fn name() -> impl Strategy<Value = String> {
    let domain = "([ab]{1,2}\\.){0,2}(a|b)\\.(io|com)(:5000)?|localhost|docker\\.io";
    (domain, "[xy]{1,2}(/[xy]{1,2}){0,2}").prop_map(|(domain, path)| format!("{domain}/{path}"))
}
