//! The command line: options, environment, signals, output. The binary is run with real skopeo.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod cache_entries;
mod concurrency;
mod disk_faults;
mod dry_run;
mod environment;
mod examples;
mod hints;
mod input;
mod inspect;
mod install;
mod json_output;
mod list;
mod man_pages;
mod memory;
mod named_pipes;
mod progress;
mod prune;
mod schemas;
mod setup;
mod signals;
mod skopeo_binary;
mod usage;
mod verify_cache;

use skopeo_index::skopeo::{CommandRunner, SkopeoBinary};

/// The path of the skopeo that the binary runs by default.
fn skopeo_path() -> String {
    let skopeo = SkopeoBinary::new("skopeo".into());
    skopeo.program().display().to_string()
}
