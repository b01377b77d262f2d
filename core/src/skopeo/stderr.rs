//! What skopeo's failures mean: its log line decoded, its message classified.
//!
//! skopeo writes logrus lines, `time="…" level=fatal msg="…"`, with the message
//! quoted as Go's `%q` does. The message is a chain, outermost first, of parts
//! joined by `": "`: skopeo's own words, then the library's, then the network's
//! or the registry's. A registry's words come last and may say anything, so a
//! class is told from whole parts, from the left, and never from a substring.

use super::{CommandOutput, Exit};
use crate::escape::{redact_credentials, truncate_message};
use crate::machine::{EffectError, FailureKind};

/// Classifies a command that failed.
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
        message: truncate_message(&redact_credentials(&text)),
    }
}

/// The message of the last fatal line.
#[must_use]
pub fn fatal_message(stderr: &str) -> Option<String> {
    stderr.lines().rev().find_map(|line| {
        let (fields, message) = line.split_once(" msg=")?;
        let fatal = fields
            .split(' ')
            .any(|field| matches!(field, "level=fatal" | "level=error"));
        fatal.then(|| unquoted(message))
    })
}

/// Undoes Go's `%q`; a message without need of quotes stands bare.
fn unquoted(text: &str) -> String {
    let Some(quoted) = text.strip_prefix('"') else {
        return text.split(' ').next().unwrap_or_default().to_owned();
    };
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => escape(&mut chars, &mut bytes),
            _ => push(c, &mut bytes),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One escape of a Go string (The Go Programming Language Specification, "Rune
/// literals"): `\n`, `\"`, `\x1b`, `\u00e4`, `\U0001f600`.
fn escape(chars: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) {
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
        // Not an escape of Go's after all: keep what stands there.
        bytes.push(b'\\');
        return push(c, bytes);
    };
    *chars = rest[digits..].chars();
    match u8::try_from(value) {
        // `\x` is a byte, of a character or of none.
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

/// How the part begins behind which a registry speaks.
const AT_REGISTRY: &str = "reading manifest ";

/// The sort of failure that a message tells of.
#[must_use]
pub fn classify(message: &str) -> FailureKind {
    let parts = parts(of_primary(message));
    let at_registry = parts.iter().position(|part| part.starts_with(AT_REGISTRY));
    let (skopeos, registrys) = parts.split_at(at_registry.map_or(parts.len(), |at| at + 1));
    let of_skopeo = decided(skopeos).next();
    // Behind `reading manifest D in NAME` stands the registry's error code, and
    // behind that what the registry likes to say; or a request that failed.
    let of_registry = || match registrys {
        [request, network @ ..] if request.starts_with("Get ") => decided(network).next(),
        [code, detail @ ..] => of_part(first_of(code), detail),
        [] => None,
    };
    of_skopeo.or_else(of_registry).unwrap_or(FailureKind::Other)
}

/// What the registry itself failed with, where its mirrors (registries.conf)
/// failed before: `(Mirrors also failed: [REF: …]\n[REF: …]): REF: …`. A mirror
/// may say what it likes, that end included, so the last one counts.
fn of_primary(message: &str) -> &str {
    let primary = || {
        let (skopeos, mirrors) = message.split_once("(Mirrors also failed: ")?;
        let skopeos = parts(skopeos);
        let by_registry = skopeos.iter().any(|p| p.starts_with(AT_REGISTRY))
            || decided(&skopeos).next().is_some();
        // Otherwise these are somebody's words, and not skopeo's.
        if by_registry || skopeos.last() != Some(&"") {
            return None;
        }
        let (_, primary) = mirrors.rsplit_once("]): ")?;
        Some(primary)
    };
    primary().unwrap_or(message)
}

/// Of several errors in one answer, `errors:` and a line for each, the first.
fn first_of(codes: &str) -> &str {
    let first = codes.strip_prefix("errors:\n");
    first.map_or(codes, |first| first.lines().next().unwrap_or(first))
}

/// The classes of the parts that decide one.
fn decided<'p>(parts: &'p [&'p str]) -> impl Iterator<Item = FailureKind> + 'p {
    let of = |(at, part): (usize, &&str)| of_part(part, &parts[at + 1..]);
    parts.iter().enumerate().filter_map(of)
}

/// The class that a part decides, with the parts behind it.
fn of_part(part: &str, rest: &[&str]) -> Option<FailureKind> {
    let tail = rest.is_empty();
    Some(match part {
        "manifest unknown" | "name unknown" => FailureKind::NotFound,
        // Behind `invalid username/password` a registry speaks again.
        "unauthorized" | "denied" | "invalid username/password" => FailureKind::Authentication,
        "x509" | "tls" => FailureKind::Tls,
        "toomanyrequests" | "too many requests to registry" => FailureKind::RateLimited,
        "http" if rest == ["server gave HTTP response to HTTPS client"] => FailureKind::PlainHttp,
        "received unexpected HTTP status" | "StatusCode" => of_status(rest.first()?),
        _ if part.ends_with("does not resolve to an image ID") => FailureKind::NotFound,
        _ if part.starts_with("parsing manifest list ") => FailureKind::NotAnIndex,
        _ => match part.strip_prefix("invalid status code from registry ") {
            // Of the ping or the token: it isn't the manifest that is missing.
            Some(status) if of_status(status) == FailureKind::NotFound => FailureKind::Other,
            Some(status) => of_status(status),
            None if tail => return of_last(part),
            None => return None,
        },
    })
}

/// The class that the last part decides: it is the network's, skopeo's own, or
/// the usual message of a registry's code (distribution, `errcode`): where a
/// registry says no more than that, skopeo from 1.10 on leaves the code out.
fn of_last(part: &str) -> Option<FailureKind> {
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
        // A manifest's; a token's is less.
        "exceeded maximum allowed size of 4194304 bytes" => FailureKind::TooLarge,
        _ if NETWORK.iter().any(|end| part.ends_with(end)) => FailureKind::Network,
        _ if TLS.iter().any(|end| part.ends_with(end)) => FailureKind::Tls,
        _ => return None,
    })
}

/// Ends of the network's own messages (Go's net package and the kernel's).
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

/// Ends of the messages of Go's crypto/tls that don't begin with `tls: `.
const TLS: &[&str] = &["first record does not look like a TLS handshake"];

/// An HTTP status, `503 Service Unavailable`, `503 (Service Unavailable)` or
/// `503, BODY`.
fn of_status(status: &str) -> FailureKind {
    match status
        .split([' ', ','])
        .next()
        .and_then(|code| code.parse::<u16>().ok())
    {
        Some(500..=599) => FailureKind::Server,
        Some(429) => FailureKind::RateLimited,
        Some(401 | 403) => FailureKind::Authentication,
        Some(404) => FailureKind::NotFound,
        _ => FailureKind::Other,
    }
}

/// The chain's parts; what stands in double quotes is not taken apart.
fn parts(message: &str) -> Vec<&str> {
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
