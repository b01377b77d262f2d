//! The failure kind of a message of skopeo.
//!
//! A message is a chain, outermost first, of parts joined by `": "`: from skopeo, then from
//! its library, then from the network or the registry. The registry's text comes last and
//! is untrusted, so whole parts are matched, from the left, and never substrings. One code
//! is an exception, see [`uncoded_kind`].

use super::stderr::MessageEnd;
use crate::machine::FailureKind;

/// Classifies a decoded message of skopeo.
#[must_use]
pub fn classify(message: &str) -> FailureKind {
    classify_with(message, MessageEnd::Complete, FailureKind::Server)
}

/// As [`classify`], with the kind of a ping whose failure [`V1_REGISTRY`] hides.
pub(super) fn classify_with(
    message: &str,
    end: MessageEnd,
    hidden_ping: FailureKind,
) -> FailureKind {
    let primary = primary_message(message, hidden_ping);
    let kind = match (end, primary) {
        // The primary registry's part, if it is there, is not the whole.
        (MessageEnd::Cut, Some(_)) => None,
        // Nor is the last part of skopeo's text.
        (MessageEnd::Cut, None) => kind(&split_parts(&format!("{message}…")), hidden_ping),
        (MessageEnd::Complete, primary) => {
            kind(&split_parts(primary.unwrap_or(message)), hidden_ping)
        }
    };
    kind.unwrap_or(FailureKind::Other)
}

/// What skopeo before 1.10 says of any failed ping where `/v1/_ping` is answered.
const V1_REGISTRY: &str = "can't talk to a V1 container registry";

/// Start of the part after which the text comes from the registry.
pub(super) const READING_MANIFEST: &str = "reading manifest ";

/// The primary registry's part of a message in which mirrors (registries.conf) failed
/// first: `(Mirrors also failed: [REF: …]\n[REF: …]): REF: …`. A mirror's text is
/// untrusted and may contain the delimiter, so the last one counts.
///
/// `None` where no mirrors failed.
pub(super) fn primary_message(message: &str, hidden_ping: FailureKind) -> Option<&str> {
    let (before, mirrors) = message.split_once("(Mirrors also failed: ")?;
    let before = split_parts(before);
    // Only skopeo's own note starts a part, before anything that has a kind.
    if kind(&before, hidden_ping).is_some() || before.last() != Some(&"") {
        return None;
    }
    Some(
        mirrors
            .rsplit_once("]): ")
            .map_or("", |(_, primary)| primary),
    )
}

/// What a registry answered to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first request, `/v2/`. skopeo 1.10 and later show its answer like a manifest's.
    Ping,
    /// The request for a bearer token.
    Token,
    /// The request for the manifest.
    Manifest,
}

/// The kind of a message: that of its first part that has one.
fn kind(parts: &[&str], hidden_ping: FailureKind) -> Option<FailureKind> {
    let (part, rest) = parts.split_first()?;
    Some(match *part {
        _ if part.starts_with(READING_MANIFEST) => answer_kind(rest, Phase::Manifest),
        _ if part.starts_with("pinging container registry ") => answer_kind(rest, Phase::Ping),
        "Requesting bearer token" | "Trying to obtain access token" => {
            answer_kind(rest, Phase::Token)
        }
        "getting username and password" => match rest.first() {
            Some(part) if part.ends_with("error getting credentials - err") => {
                FailureKind::CredentialHelper
            }
            _ => FailureKind::CredentialsFile,
        },
        // The parts after it come from the registry.
        "invalid username/password" => FailureKind::Authentication,
        "too many requests to registry" => FailureKind::RateLimited,
        V1_REGISTRY => hidden_ping,
        _ if is_request(part) => unanswered_kind(part, rest),
        _ if part.starts_with("decoding bearer token (") => FailureKind::NoRegistry,
        _ if part.ends_with("does not resolve to an image ID") => FailureKind::NotFound,
        _ if part.starts_with("parsing manifest list ") => FailureKind::NotAnIndex,
        _ if !rest.is_empty() => {
            return kind(rest, hidden_ping).or_else(|| request_kind(parts));
        }
        _ if part.starts_with("Manifest does not match provided manifest digest") => {
            FailureKind::DigestMismatch
        }
        // The limit of a manifest's size; that of a token's is lower.
        "exceeded maximum allowed size of 4194304 bytes" => FailureKind::TooLarge,
        // A token that is not JSON, as skopeo 1.9 says it.
        "unexpected end of JSON input" => FailureKind::NoRegistry,
        _ if part.starts_with("invalid character ") => FailureKind::NoRegistry,
        _ => return network_kind(parts),
    })
}

/// Whether a part is Go's introduction of a failed request: `Get "URL"`.
fn is_request(part: &str) -> bool {
    starts_with_any(part, &["Get \"", "Post \"", "Head \""])
}

fn starts_with_any(text: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| text.starts_with(start))
}

/// The kind of the answer to a request, or of the request's failure.
pub(super) fn answer_kind(parts: &[&str], phase: Phase) -> FailureKind {
    let Some((part, rest)) = parts.split_first() else {
        return FailureKind::Other;
    };
    let kind = match first_code(part) {
        _ if is_request(part) => return unanswered_kind(part, rest),
        // Codes of distribution (`errcode`).
        "manifest unknown" | "name unknown" | "blob unknown" | "manifest blob unknown" => {
            FailureKind::NotFound
        }
        "unauthorized" | "denied" => FailureKind::Authentication,
        "toomanyrequests" => FailureKind::RateLimited,
        "unavailable" => FailureKind::Server,
        "unknown" => uncoded_kind(&rest.join(": ")),
        "received unexpected HTTP status" | "StatusCode" => {
            status_kind(rest.first().copied().unwrap_or_default())
        }
        code => match code.strip_prefix("invalid status code from registry ") {
            Some(status) => status_kind(status),
            None if rest.is_empty() => sole_kind(part),
            None => FailureKind::Other,
        },
    };
    match (phase, kind) {
        // The manifest may well exist, at a registry.
        (Phase::Ping | Phase::Token, FailureKind::NotFound) => FailureKind::NoRegistry,
        (Phase::Ping, FailureKind::Other) => FailureKind::NoRegistry,
        _ => kind,
    }
}

/// The kind of an answer of one part: the standard message of a code, which skopeo 1.10 and
/// later print without the code if the registry adds no detail, or an error of the network.
fn sole_kind(part: &str) -> FailureKind {
    match part {
        "repository name not known to registry" | "blob unknown to registry" => {
            FailureKind::NotFound
        }
        "authentication required" | "requested access to the resource is denied" => {
            FailureKind::Authentication
        }
        "too many requests" | "too many requests to registry" => FailureKind::RateLimited,
        "service unavailable" => FailureKind::Server,
        _ => network_kind(&[part]).unwrap_or(FailureKind::Other),
    }
}

/// The first of several error codes in one response: `errors:` and a line for each.
fn first_code(codes: &str) -> &str {
    let lines = codes.strip_prefix("errors:\n");
    lines.map_or(codes, |lines| lines.lines().next().unwrap_or(lines))
}

/// The kind of a 4xx whose code distribution doesn't know. skopeo shows neither code nor
/// status, so the registry's message stands for them, as in containers/image
/// (`isManifestUnknownError`). It can choose only what a code of its own could: none of
/// these kinds is transient.
fn uncoded_kind(message: &str) -> FailureKind {
    let message = message.to_lowercase();
    let is_about = |text: &str, start, says| text.starts_with(start) && text.contains(says);
    match message.as_str() {
        "manifest unknown" | "name unknown" | "tag unknown" | "unknown tag" => {
            FailureKind::NotFound
        }
        // Harbor, Red Hat: NOT_FOUND.
        text if text.contains("not found") => FailureKind::NotFound,
        // Quay: TAG_EXPIRED.
        text if is_about(text, "tag ", " deleted or has expired") => FailureKind::NotFound,
        // REPOSITORY_NOT_FOUND.
        text if is_about(text, "repository ", "does not exist") => FailureKind::NotFound,
        // FORBIDDEN; Harbor: PROJECTPOLICYVIOLATION.
        text if text.contains("forbidden") || text.contains("due to configured policy") => {
            FailureKind::Authentication
        }
        text if starts_with_any(text, &REFUSED) => FailureKind::Authentication,
        _ => FailureKind::Other,
    }
}

const REFUSED: [&str; 4] = [
    "access ",
    "permission ",
    "not authorized",
    "you are not authorized",
];

/// The kind of a request that got no answer: `Get "URL"`, and the parts after it.
fn unanswered_kind(request: &str, parts: &[&str]) -> FailureKind {
    let is_https = request.contains(" \"https://") && request.trim_end_matches(':').ends_with('"');
    request_kind(parts).unwrap_or(match parts {
        [text] if GO.iter().any(|sentence| text.ends_with(sentence)) => FailureKind::Other,
        // A proxy's answer to CONNECT: Go shows its reason phrase, any text (RFC 9112,
        // section 4), and nothing else.
        [] | [_] if is_https => FailureKind::Proxy,
        _ => FailureKind::Other,
    })
}

/// Ends of what Go itself says of a redirect, in one part.
const GO: &[&str] = &[
    "stopped after 10 redirects",
    "response missing Location header",
];

/// The kind of a request that got no answer, by the parts after `Get "URL"`; `None` where
/// nothing of it is known.
fn request_kind(parts: &[&str]) -> Option<FailureKind> {
    let (part, rest) = parts.split_first()?;
    Some(match *part {
        // The rest is what the server sent.
        _ if parts.iter().any(|part| part.starts_with("malformed ")) => FailureKind::Other,
        "proxyconnect tcp" => proxy_kind(rest),
        _ if part.starts_with("socks connect tcp ") => proxy_kind(rest),
        "http" if rest == ["server gave HTTP response to HTTPS client"] => FailureKind::PlainHttp,
        "first record does not look like a TLS handshake" => FailureKind::NotTls,
        "x509" | "tls" | "remote error" | "local error" => tls_kind(parts),
        // A proxy's answer to CONNECT with the phrase of its status (RFC 9110, section 15).
        "Bad Gateway"
        | "Service Unavailable"
        | "Gateway Timeout"
        | "Gateway Time-out"
        | "Internal Server Error"
        | "Too Many Requests"
        | "Request Timeout"
            if rest.is_empty() =>
        {
            FailureKind::ProxyUnavailable
        }
        // One word of a proxy, not the system: that names the failed call before it.
        _ if rest.is_empty() && ERRNO.contains(part) => return None,
        _ => return network_kind(parts),
    })
}

/// The kind of a failed connection to the proxy itself.
fn proxy_kind(parts: &[&str]) -> FailureKind {
    match network_kind(parts) {
        Some(_) => FailureKind::ProxyUnavailable,
        None => FailureKind::Proxy,
    }
}

/// The kind of an error of crypto/tls, or of crypto/x509 if it has that part. A certificate's
/// text follows the start of the part.
fn tls_kind(parts: &[&str]) -> FailureKind {
    let certificate = parts.iter().skip_while(|part| **part != "x509").nth(1);
    let text = certificate.or(parts.get(1)).copied().unwrap_or_default();
    let starts = |start| text.starts_with(start);
    match text {
        _ if starts("first record does not look like a TLS handshake") => FailureKind::NotTls,
        _ if starts("oversized record received") => FailureKind::NotTls,
        _ if starts("certificate signed by unknown authority") => FailureKind::TlsAuthority,
        _ if starts("certificate has expired or is not yet valid") => FailureKind::TlsExpired,
        _ if starts("certificate is valid for") => FailureKind::TlsHostName,
        _ if starts("certificate is not valid for any names") => FailureKind::TlsNoSan,
        _ if starts("certificate relies on legacy Common Name") => FailureKind::TlsNoSan,
        _ if starts("cannot validate certificate for") => FailureKind::TlsNoSan,
        _ => FailureKind::Tls,
    }
}

/// The kind of an error of the network: of the kernel, or of Go's packages net and http.
fn network_kind(parts: &[&str]) -> Option<FailureKind> {
    let (first, last) = (parts.first()?, parts.last()?);
    let is_network = ERRNO.contains(last)
        || TRANSPORT.contains(last)
        || last.ends_with("(Client.Timeout exceeded while awaiting headers)")
        || matches!(*first, "http2" | "stream error") && parts.len() > 1;
    is_network.then_some(FailureKind::Network)
}

/// Errors of the kernel (errno(3)) and of the resolver, after the name of the failed call.
const ERRNO: &[&str] = &[
    "connection refused",
    "connection reset by peer",
    "connection timed out",
    "broken pipe",
    "cannot assign requested address",
    "host is down",
    "network is down",
    "network is unreachable",
    "no buffer space available",
    "no route to host",
    "software caused connection abort",
    "i/o timeout",
    "no such host",
    "server misbehaving",
    "Temporary failure in name resolution",
];

/// Errors of Go's HTTP client: the connection ended early, or too late.
const TRANSPORT: &[&str] = &[
    "EOF",
    "unexpected EOF",
    "context deadline exceeded",
    "TLS handshake timeout",
    "server closed idle connection",
    "use of closed network connection",
];

/// The kind of an HTTP status: `503 Service Unavailable`, `503 (Service Unavailable)` or
/// `503, BODY`.
fn status_kind(status: &str) -> FailureKind {
    let code = status.split([' ', ',']).next().unwrap_or_default();
    let kind = code.parse().ok().and_then(FailureKind::of_status);
    kind.unwrap_or(FailureKind::Other)
}

/// Limit of a message's parts: skopeo's longest have about ten, and a registry's text in them
/// may have thousands.
const MAX_PARTS: usize = 64;

/// Splits a message into its parts, except within double quotes.
fn split_parts(message: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in message.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ':' if !quoted && parts.len() < MAX_PARTS && message[at + 1..].starts_with(' ') => {
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
