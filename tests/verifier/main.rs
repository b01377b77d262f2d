//! Verifiers: what approves, what refuses, and what a hostile one can do. The binary is run
//! with real programs.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

mod commands;
mod evidence;
mod hostile;
mod service;
mod signatures;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

/// An index in a registry, and an empty cache.
struct Scene {
    registry: Registry,
    cache: Cache,
    digest: String,
    reference: String,
}

impl Scene {
    fn new() -> Self {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::oci_index(2));
        let reference = format!("{}/group/app@{digest}", registry.address());
        Self {
            registry,
            cache,
            digest,
            reference,
        }
    }

    /// Fetches the index with verifiers and an audit log.
    fn fetch(&self, verifiers: &[&str], more: &[&str]) -> RunOutput {
        let log = self.log_path().display().to_string();
        let mut args = vec![
            self.reference.as_str(),
            "--engine=registry",
            "--audit-log",
            &log,
        ];
        args.extend(
            verifiers
                .iter()
                .flat_map(|command| ["--verifier", *command]),
        );
        self.cache.fetch(&[&args, more].concat())
    }

    fn log_path(&self) -> PathBuf {
        self.cache.beside("log")
    }

    /// The verifier records of the log, each with its transition's outcome, once the log has
    /// been verified.
    fn verifications(&self) -> Vec<(Value, Value)> {
        let log = self.log_path().display().to_string();
        self.cache.run(["audit", "verify", &log]).assert_status(0);
        let log = fs::read_to_string(log).expect("a log");
        let transition = |line: &str| {
            let mut record: Value = serde_json::from_str(line).expect("a record");
            let mut transition = record["entry"]["transition"].take();
            let verifier = transition.get_mut("verifier")?.take();
            Some((verifier, transition["event"]["outcome"].take()))
        };
        log.lines().filter_map(transition).collect()
    }

    /// Writes a script, and returns its path.
    fn script(&self, name: &str, body: &str) -> String {
        let script = self.cache.beside(name);
        fs::write(&script, format!("#!/bin/sh\n{body}\n")).expect("a file");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a file");
        script.display().to_string()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.cache.beside(name)).expect("a file")
    }
}
