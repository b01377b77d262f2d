//! Classification of skopeo's failures by its log lines.
//!
//! skopeo writes logrus lines, `time="…" level=fatal msg="…"`, with the message quoted as
//! Go's `%q` does.

use super::classify::{Phase, READING_MANIFEST, answer_kind, classify_with};
use super::{CommandOutput, Exit};
use crate::escape::{truncate_message, unescape};
use crate::machine::{EffectError, FailureKind};

pub use super::classify::classify;

/// Classifies a command that exited with a failure. Its stderr was redacted before
/// ([`crate::redact`]).
#[must_use]
pub fn classify_exit(output: &CommandOutput) -> EffectError {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = fatal_message(&stderr);
    let kind = match message.as_deref() {
        Some(message) => classify_with(message, hidden_ping_kind(&stderr)),
        None => FailureKind::Other,
    };
    let text = match (message, stderr.trim()) {
        (Some(message), _) => without_introduction(&message),
        (None, "") => match output.exit {
            Exit::Status(code) => format!("exited with status {code} and no error output"),
            Exit::Signal(signal) => format!("killed by signal {signal}"),
        },
        (None, stderr) => stderr.to_owned(),
    };
    EffectError::Command {
        kind,
        message: truncate_message(&text),
    }
}

/// The message from where it says what failed: without skopeo's introduction and the
/// reference, which every error of this program starts with.
fn without_introduction(message: &str) -> String {
    let named = after(message, "Error parsing image name \"", "\": ");
    let copied = || after(message, "initializing source ", ": ");
    let rest = named.or_else(copied).unwrap_or(message);
    let rest = rest
        .strip_prefix("Error retrieving manifest for image: ")
        .unwrap_or(rest);
    match after(rest, READING_MANIFEST, ": ") {
        Some(answer) => format!("reading manifest: {answer}"),
        None => joined(rest).unwrap_or_else(|| rest.to_owned()),
    }
}

/// A list of errors, which Go's go-multierror writes on a line each, in one line:
/// `2 errors occurred:\n\t* A\n\t* B\n\n`.
fn joined(message: &str) -> Option<String> {
    let (before, errors) = message.split_once(" occurred:\n\t* ")?;
    let start = before.rfind(": ").map_or(0, |at| at + ": ".len());
    let (number, _) = before[start..].split_once(" error")?;
    number.parse::<usize>().ok()?;
    let errors = errors.trim_end().replace("\n\t* ", "; ");
    Some(format!("{}{errors}", &before[..start]))
}

/// What follows the first `end` in a text with this start.
fn after<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.strip_prefix(start)?.split_once(end)?;
    Some(rest)
}

/// The kind of a command that was killed at its timeout. skopeo waits for a registry that
/// limits the rate of requests, and says so in its last debug line.
#[must_use]
pub fn classify_timeout(stderr: &[u8]) -> FailureKind {
    let stderr = String::from_utf8_lossy(stderr);
    match debug_messages(&stderr).next_back() {
        Some(text) if text.starts_with("Too many requests to ") => FailureKind::RateLimited,
        _ => FailureKind::Timeout,
    }
}

/// The kind of a ping whose failure skopeo hides (`V1_REGISTRY`), by the status in a debug
/// line: `Ping URL status 503`.
fn hidden_ping_kind(stderr: &str) -> FailureKind {
    let kind = debug_messages(stderr).rev().find_map(|text| {
        let (url, status) = text.strip_prefix("Ping ")?.rsplit_once(" status ")?;
        let answer = format!("invalid status code from registry {status}");
        url.ends_with("/v2/")
            .then(|| answer_kind(&[&answer], Phase::Ping))
    });
    kind.unwrap_or(FailureKind::Server)
}

/// The decoded messages of level `debug`.
pub(super) fn debug_messages(stderr: &str) -> impl DoubleEndedIterator<Item = String> {
    messages(stderr, &["level=debug"])
}

/// The decoded message of the last line of level `fatal` or `error`.
#[must_use]
pub fn fatal_message(stderr: &str) -> Option<String> {
    messages(stderr, &["level=fatal", "level=error"]).next_back()
}

/// The decoded messages of these levels. Go's runtime also writes lines without a level,
/// with text of registries.
fn messages(stderr: &str, levels: &[&str]) -> impl DoubleEndedIterator<Item = String> {
    stderr.lines().filter_map(move |line| {
        let (fields, message) = line.split_once(" msg=")?;
        let level = match fields.strip_prefix("time=\"") {
            Some(fields) => fields.split_once("\" ")?.1,
            None => fields,
        };
        levels.contains(&level).then(|| unquote(message))
    })
}

/// Undoes Go's `%q`; logrus writes a message without special characters unquoted.
fn unquote(text: &str) -> String {
    let Some(quoted) = text.strip_prefix('"') else {
        return text.split(' ').next().unwrap_or_default().to_owned();
    };
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => unescape(&mut chars, &mut bytes),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
