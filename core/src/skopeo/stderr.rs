//! Classification of skopeo's failures by its log lines.
//!
//! skopeo writes logrus lines, `time="…" level=fatal msg="…"`, with the message quoted as
//! Go's `%q` does.

use super::classify::{Phase, READING_MANIFEST, answer_kind, classify_with, primary_message};
use super::{CommandOutput, Exit};
use crate::escape::{MAX_ERROR_TEXT, start_of, truncate_message, unescape};
use crate::machine::{EffectError, FailureKind};
use crate::redact::Redactor;

pub use super::classify::classify;

/// The level of what skopeo prints with `--debug` alone.
const DEBUG: &str = "level=debug";

/// A decoded message.
struct Message {
    text: String,
    end: MessageEnd,
}

/// How a message ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageEnd {
    /// It is whole.
    Complete,
    /// Its line was too long to be kept to its end.
    Cut,
}

/// Classifies a command that exited with a failure. The kind is that of skopeo's own text;
/// of the message, the redactor removes what it must.
#[must_use]
pub fn classify_exit(output: &CommandOutput, redactor: &Redactor) -> EffectError {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let shown = |text: &str| match text.len() {
        0..=MAX_WHOLE => truncate_message(&redactor.redact(text)),
        _ => {
            let clean = redactor.redact_start(text, MAX_ERROR_TEXT);
            format!("{}…", start_of(&clean, MAX_ERROR_TEXT - "…".len()))
        }
    };
    match (output.exit, last_fatal(&stderr)) {
        (Exit::Status(_), Some(Message { text, end })) => EffectError::Command {
            kind: fatal_kind(&text, end, &stderr),
            message: shown(&without_introduction(&text)),
        },
        // A process that was killed has not said how it ended.
        (exit, _) => {
            let reason = unlogged_reason(&stderr).map(|it| shown(&it));
            EffectError::Command {
                kind: FailureKind::Other,
                message: truncate_message(&unlogged(exit, reason)),
            }
        }
    }
}

/// Maximum length of a text whose line was certainly not cut: a cut one has 32 KiB, in which
/// an escape has at most four bytes for one of text. A cut may split a secret, so what is
/// shown of a longer text ends long before.
const MAX_WHOLE: usize = 3 * MAX_ERROR_TEXT;

/// The kind of a message of level `fatal`, with what the debug lines before it say.
fn fatal_kind(text: &str, end: MessageEnd, stderr: &str) -> FailureKind {
    let hidden_ping = hidden_ping_kind(stderr);
    let primary =
        last_source_error(stderr).filter(|_| primary_message(text, hidden_ping).is_some());
    let (text, end) = match &primary {
        Some(Message { text, end }) => (text.as_str(), *end),
        None => (text, end),
    };
    match classify_with(text, end, hidden_ping) {
        FailureKind::Network if is_phrase_of_proxy(text, stderr) => FailureKind::Proxy,
        kind => kind,
    }
}

/// The error of the last source that skopeo tried, which is the primary registry after its
/// mirrors. In the message, each one's text could pass for the beginning of another's.
fn last_source_error(stderr: &str) -> Option<Message> {
    messages(stderr, &[DEBUG]).rev().find_map(|message| {
        let source = message.text.strip_prefix("Accessing \"")?;
        let (_, error) = source.split_once("\" failed: ")?;
        let (text, end) = (error.to_owned(), message.end);
        Some(Message { text, end })
    })
}

/// The failure of a command without a message of level `fatal`.
fn unlogged(exit: Exit, reason: Option<String>) -> String {
    match (exit, reason) {
        (Exit::Status(code), None) => format!("exited with status {code} and no error output"),
        (Exit::Status(code), Some(line)) => format!("{line} (exit status {code})"),
        (Exit::Signal(signal), None) => format!("killed by signal {signal}"),
        (Exit::Signal(signal), Some(line)) => format!("killed by signal {signal}: {line}"),
    }
}

/// The line that says why such a command failed.
fn unlogged_reason(stderr: &str) -> Option<String> {
    let lines = stderr.lines().map(str::trim).filter(|it| !it.is_empty());
    let lines: Vec<String> = lines.filter_map(unlogged_text).collect();
    // Go and command line parsers write a line with the reason before others.
    let is_reason = |line: &&String| REASONS.iter().any(|start| line.starts_with(start));
    lines.iter().find(is_reason).or(lines.last()).cloned()
}

/// Starts of lines that say why a program ended, of Go's runtime and of command line parsers.
const REASONS: [&str; 4] = ["panic: ", "fatal error: ", "runtime: ", "Error: "];

/// The text of a line, or of its message if it is a log line of a level above debugging.
fn unlogged_text(line: &str) -> Option<String> {
    match log_line(line) {
        None => Some(line.to_owned()),
        Some((DEBUG | "level=trace" | "level=info", _)) => None,
        Some((_, message)) => Some(unquote(message).text),
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

/// Whether what looks like an error of the network is a proxy's phrase, which may be any text.
/// A debug line shows the type of the error, which Go's own has not:
/// `Ping URL err Get "URL": dial tcp: EOF (&url.Error{…, Err:(*errors.errorString)(0xc0)})`.
fn is_phrase_of_proxy(message: &str, stderr: &str) -> bool {
    let phrase = debug_messages(stderr).rev().find_map(|text| {
        let (url, error) = text.strip_prefix("Ping https://")?.split_once(" err ")?;
        let (error, fields) = error.rsplit_once(" (&url.Error{")?;
        let (_, kind) = fields.rsplit_once("Err:")?;
        let (_, phrase) = error.split_once("\": ")?;
        let is_of_message = url.ends_with("/v2/") && message.ends_with(error);
        (is_of_message && kind.starts_with("(*errors.errorString)")).then(|| phrase.to_owned())
    });
    // Go has errors of this type, too.
    phrase.is_some_and(|phrase| match phrase.split_once(": ") {
        None | Some(("http2", _) | ("http", "server closed idle connection")) => false,
        Some(_) => true,
    })
}

/// The decoded messages of level `debug`.
pub(super) fn debug_messages(stderr: &str) -> impl DoubleEndedIterator<Item = String> {
    messages(stderr, &[DEBUG]).map(|message| message.text)
}

/// The decoded message of the last line of level `fatal` or `error`.
#[must_use]
pub fn fatal_message(stderr: &str) -> Option<String> {
    Some(last_fatal(stderr)?.text)
}

fn last_fatal(stderr: &str) -> Option<Message> {
    messages(stderr, &["level=fatal", "level=error"]).next_back()
}

/// The decoded messages of these levels. Go's runtime also writes lines without a level,
/// with text of registries.
fn messages(stderr: &str, levels: &[&str]) -> impl DoubleEndedIterator<Item = Message> {
    stderr.lines().filter_map(move |line| {
        let (level, message) = log_line(line)?;
        levels.contains(&level).then(|| unquote(message))
    })
}

/// Level and encoded message of a log line.
fn log_line(line: &str) -> Option<(&str, &str)> {
    let (fields, message) = line.split_once(" msg=")?;
    let level = match fields.strip_prefix("time=\"") {
        Some(fields) => fields.split_once("\" ")?.1,
        None => fields,
    };
    level.starts_with("level=").then_some((level, message))
}

/// Undoes Go's `%q`; logrus writes a message without special characters unquoted.
fn unquote(text: &str) -> Message {
    let Some(quoted) = text.strip_prefix('"') else {
        return Message {
            text: text.split(' ').next().unwrap_or_default().to_owned(),
            end: MessageEnd::Complete,
        };
    };
    let mut end = MessageEnd::Cut;
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                end = MessageEnd::Complete;
                break;
            }
            '\\' => unescape(&mut chars, &mut bytes),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Message {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        end,
    }
}
