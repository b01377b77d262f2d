//! Classification of skopeo's failures by its log line.
//!
//! skopeo writes logrus lines, `time="…" level=fatal msg="…"`, with the message quoted as
//! Go's `%q` does. The message is a chain, outermost first, of parts joined by `": "`: from
//! skopeo, then from its library, then from the network or the registry. The registry's
//! text comes last and is untrusted, so whole parts are matched, from the left, and never
//! substrings.

use super::{CommandOutput, Exit};
use crate::escape::truncate_message;
use crate::machine::{EffectError, FailureKind};

/// Classifies a command that exited with a failure. Its stderr was redacted before
/// ([`crate::redact`]).
#[must_use]
pub fn classify_exit(output: &CommandOutput) -> EffectError {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = fatal_message(&stderr);
    let kind = message.as_deref().map_or(FailureKind::Other, classify);
    let text = match (message, stderr.trim()) {
        (Some(message), _) => message,
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

/// The decoded message of the last line of level `fatal` or `error`.
#[must_use]
pub fn fatal_message(stderr: &str) -> Option<String> {
    stderr.lines().rev().find_map(|line| {
        let (fields, message) = line.split_once(" msg=")?;
        let fatal = fields
            .split(' ')
            .any(|field| matches!(field, "level=fatal" | "level=error"));
        fatal.then(|| unquote(message))
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
            _ => push(c, &mut bytes),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Decodes one escape of a Go string (The Go Programming Language Specification, "Rune
/// literals"): `\n`, `\"`, `\x1b`, `\u00e4`, `\U0001f600`.
fn unescape(chars: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) {
    let Some(c) = chars.next() else { return };
    let digits = match c {
        'a' => return bytes.push(0x07),
        'b' => return bytes.push(0x08),
        'f' => return bytes.push(0x0c),
        'n' => return bytes.push(b'\n'),
        'r' => return bytes.push(b'\r'),
        't' => return bytes.push(b'\t'),
        'v' => return bytes.push(0x0b),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        other => return push(other, bytes),
    };
    let rest = chars.as_str();
    let value = rest
        .get(..digits)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let Some(value) = value else {
        // An invalid escape is kept as text.
        bytes.push(b'\\');
        return push(c, bytes);
    };
    *chars = rest[digits..].chars();
    match u8::try_from(value) {
        // `\x` is a byte, which need not be a whole character.
        Ok(byte) if digits == 2 => bytes.push(byte),
        _ => push(
            char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER),
            bytes,
        ),
    }
}

fn push(c: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Start of the part after which the text comes from the registry and is untrusted.
const READING_MANIFEST: &str = "reading manifest ";

/// Classifies a decoded message of skopeo.
#[must_use]
pub fn classify(message: &str) -> FailureKind {
    let parts = split_parts(primary_message(message));
    let boundary = parts.iter().position(|p| p.starts_with(READING_MANIFEST));
    let (trusted, from_registry) = parts.split_at(boundary.map_or(parts.len(), |at| at + 1));
    // `reading manifest D in NAME` is followed by the registry's error code and its text,
    // or by a failed request.
    let registry_kind = || match from_registry {
        [request, network @ ..] if request.starts_with("Get ") => first_kind(network),
        [code, detail @ ..] => part_kind(first_code(code), detail),
        [] => None,
    };
    first_kind(trusted)
        .or_else(registry_kind)
        .unwrap_or(FailureKind::Other)
}

/// The primary registry's part of a message in which mirrors (registries.conf) failed
/// first: `(Mirrors also failed: [REF: …]\n[REF: …]): REF: …`. A mirror's text is
/// untrusted and may contain the delimiter, so the last one counts.
fn primary_message(message: &str) -> &str {
    let primary = || {
        let (before, mirrors) = message.split_once("(Mirrors also failed: ")?;
        let before = split_parts(before);
        let is_untrusted =
            before.iter().any(|p| p.starts_with(READING_MANIFEST)) || first_kind(&before).is_some();
        // Only skopeo's own note starts a part.
        if is_untrusted || before.last() != Some(&"") {
            return None;
        }
        let (_, primary) = mirrors.rsplit_once("]): ")?;
        Some(primary)
    };
    primary().unwrap_or(message)
}

/// The first of several error codes in one response: `errors:` and a line for each.
fn first_code(codes: &str) -> &str {
    let lines = codes.strip_prefix("errors:\n");
    lines.map_or(codes, |lines| lines.lines().next().unwrap_or(lines))
}

/// The kind of the first part that has one.
fn first_kind(parts: &[&str]) -> Option<FailureKind> {
    let kind = |(at, part): (usize, &&str)| part_kind(part, &parts[at + 1..]);
    parts.iter().enumerate().find_map(kind)
}

/// The kind of a part that is followed by `rest`.
fn part_kind(part: &str, rest: &[&str]) -> Option<FailureKind> {
    let is_last = rest.is_empty();
    Some(match part {
        "manifest unknown" | "name unknown" => FailureKind::NotFound,
        // The parts after `invalid username/password` come from the registry.
        "unauthorized" | "denied" | "invalid username/password" => FailureKind::Authentication,
        "x509" | "tls" => FailureKind::Tls,
        "toomanyrequests" | "too many requests to registry" => FailureKind::RateLimited,
        "http" if rest == ["server gave HTTP response to HTTPS client"] => FailureKind::PlainHttp,
        "received unexpected HTTP status" | "StatusCode" => status_kind(rest.first()?),
        _ if part.ends_with("does not resolve to an image ID") => FailureKind::NotFound,
        _ if part.starts_with("parsing manifest list ") => FailureKind::NotAnIndex,
        _ => match part.strip_prefix("invalid status code from registry ") {
            // The response to a ping or a token request: the manifest may well exist.
            Some(status) if status_kind(status) == FailureKind::NotFound => FailureKind::Other,
            Some(status) => status_kind(status),
            None if is_last => return last_part_kind(part),
            None => return None,
        },
    })
}

/// The kind of the last part: a message of the network or of skopeo, or the standard
/// message of an error code (distribution, `errcode`), which skopeo 1.10 and later print
/// without the code if the registry adds no detail.
fn last_part_kind(part: &str) -> Option<FailureKind> {
    Some(match part {
        "repository name not known to registry" => FailureKind::NotFound,
        "authentication required" | "requested access to the resource is denied" => {
            FailureKind::Authentication
        }
        "too many requests" => FailureKind::RateLimited,
        "EOF" | "unexpected EOF" => FailureKind::Network,
        _ if part.starts_with("Manifest does not match provided manifest digest") => {
            FailureKind::DigestMismatch
        }
        // The limit of a manifest's size; that of a token's is lower.
        "exceeded maximum allowed size of 4194304 bytes" => FailureKind::TooLarge,
        _ if NETWORK.iter().any(|end| part.ends_with(end)) => FailureKind::Network,
        _ if TLS.iter().any(|end| part.ends_with(end)) => FailureKind::Tls,
        _ => return None,
    })
}

/// Ends of network errors (Go's net package and the kernel).
const NETWORK: &[&str] = &[
    "connection refused",
    "connection reset by peer",
    "broken pipe",
    "i/o timeout",
    "context deadline exceeded",
    "Client.Timeout exceeded while awaiting headers)",
    "TLS handshake timeout",
    "no such host",
    "server misbehaving",
    "Temporary failure in name resolution",
    "network is unreachable",
    "no route to host",
];

/// Ends of errors of Go's crypto/tls that don't start with `tls: `.
const TLS: &[&str] = &["first record does not look like a TLS handshake"];

/// The kind of an HTTP status: `503 Service Unavailable`, `503 (Service Unavailable)` or
/// `503, BODY`.
fn status_kind(status: &str) -> FailureKind {
    let code = status.split([' ', ',']).next().unwrap_or_default();
    match code.parse::<u16>() {
        Ok(500..=599) => FailureKind::Server,
        Ok(429) => FailureKind::RateLimited,
        Ok(401 | 403) => FailureKind::Authentication,
        Ok(404) => FailureKind::NotFound,
        _ => FailureKind::Other,
    }
}

/// Splits a message into its parts, except within double quotes.
fn split_parts(message: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in message.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ':' if !quoted && message[at + 1..].starts_with(' ') => {
                parts.push(message[start..at].trim());
                start = at + 2;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(message[start..].trim());
    parts
}
