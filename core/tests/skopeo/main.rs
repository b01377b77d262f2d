//! Tests of `skopeo`: arguments of its commands, classification of its messages.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod answer;
mod argv;
mod classification;
mod log_line;
mod properties;
mod timeout;
mod versions;

#[path = "../support/mod.rs"]
mod support;

use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::skopeo::stderr::classify_exit;
use skopeo_index_core::skopeo::{CommandOutput, Exit};

/// The digest in the messages.
const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) fn failed(stderr: &str) -> CommandOutput {
    CommandOutput {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr: stderr.as_bytes().to_vec(),
    }
}

/// The kind that a whole log line with this message gets; of the message, the introduction
/// and secrets are removed.
#[track_caller]
fn kind_of(text: &str) -> FailureKind {
    let message = format!("Error parsing image name \"docker://127.0.0.1:5000/x@{D}\": {text}");
    let line = format!(
        "time=\"2026-11-23T22:28:40Z\" level=fatal msg={}\n",
        quoted(&message)
    );
    let redactor = Redactor::default();
    match classify_exit(&failed(&line), &redactor) {
        EffectError::Command {
            kind,
            message: kept,
        } if kept == redactor.redact(&shown(text)) => kind,
        other => panic!("{other}"),
    }
}

/// A message as it is shown: the reference is not repeated, and a list of one error is not
/// announced.
fn shown(text: &str) -> String {
    let answer = text.strip_prefix("reading manifest ");
    match answer.and_then(|rest| rest.split_once(": ")) {
        Some((_, answer)) => format!("reading manifest: {answer}"),
        None => match text.split_once("1 error occurred:\n\t* ") {
            Some((before, error)) => format!("{before}{}", error.trim_end()),
            None => text.to_owned(),
        },
    }
}

/// The same for an error that the registry answered with.
#[track_caller]
fn kind_at_registry(text: &str) -> FailureKind {
    kind_of(&format!("reading manifest {D} in 127.0.0.1:5000/x: {text}"))
}

/// Go's `%q`.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || u32::from(c) == 0x202e => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c if u32::from(c) > 0xffff => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
