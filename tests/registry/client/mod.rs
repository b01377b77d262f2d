//! The registry client against hostile registries, at the real binary.

mod answers;
mod auth;
mod cancellation;
mod connections;
mod engine;
mod redirects;
mod retry_after;
mod tls;

use std::process::Command;

use test_support::loopback::Registry;
use test_support::program::harness::{Cache, RunOutput, run_with_peak_memory};

/// Peak memory of a fetch in bytes: far less than any body that is sent without end.
const MAX_MEMORY: usize = 64 << 20;

/// One attempt by the client alone. A registry that neither answers nor closes is left
/// after the timeout.
const ONE_ATTEMPT: [&str; 4] = [
    "--engine=registry",
    "--retry-times=0",
    "--command-timeout=2s",
    "--deadline=60s",
];

fn reference(registry: &Registry, digest: &str) -> String {
    format!("{}/app@{digest}", registry.address())
}

/// A fetch of indexes with these options.
fn fetch(cache: &Cache, registry: &Registry, digests: &[&str], options: &[&str]) -> Command {
    let references = digests.iter().map(|digest| reference(registry, digest));
    let options = options.iter().map(|option| (*option).to_owned());
    let words = std::iter::once("fetch".to_owned());
    cache.command(words.chain(options).chain(references))
}

fn run(command: &mut Command) -> RunOutput {
    command.output().expect("the binary").into()
}

/// Fetches one index in one attempt without TLS verification.
fn fetch_once(cache: &Cache, registry: &Registry, digest: &str) -> RunOutput {
    let options = [&ONE_ATTEMPT[..], &["--tls-verify=false"]].concat();
    run(&mut fetch(cache, registry, &[digest], &options))
}

/// Asserts that the client fails with `status`, in bounded memory, and leaves nothing.
#[track_caller]
fn assert_fails(registry: &Registry, digest: &str, status: i32) -> RunOutput {
    let cache = Cache::new();
    let options = [&ONE_ATTEMPT[..], &["--tls-verify=false"]].concat();
    let command = fetch(&cache, registry, &[digest], &options);
    let (output, peak) = run_with_peak_memory(&command);
    output.assert_status(status);
    cache.assert_empty();
    assert!(peak < MAX_MEMORY, "{peak} bytes: {output:?}");
    output
}
