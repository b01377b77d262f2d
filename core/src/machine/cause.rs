//! Why a fetch fails.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::escape::{Escaped, quote};
use crate::index::NotAnIndex;

/// Why a fetch failed: something the core found, or an effect that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Cause {
    /// The bytes have the requested digest, and are not an index.
    #[error("not an image index: {reason}")]
    NotAnIndex {
        /// The first rule that they break.
        reason: NotAnIndex,
    },
    /// The bytes are not the requested ones.
    #[error(
        "digest mismatch: expected {expected}, got {actual}{}",
        not_an_index_note(.not_an_index.as_deref())
    )]
    DigestMismatch {
        /// SHA-256 of the bytes.
        actual: Digest,
        /// The requested digest.
        expected: Digest,
        /// Why they are not an index either.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_an_index: Option<Box<NotAnIndex>>,
    },
    /// skopeo computed a digest other than SHA-256 of the bytes (method copy).
    #[error(
        "digest mismatch: SHA-256 is {sha256}, skopeo computed {}",
        quote(skopeo)
    )]
    SkopeoDigestMismatch {
        /// SHA-256 of the bytes.
        sha256: Digest,
        /// What skopeo printed.
        skopeo: String,
    },
    /// skopeo read bytes other than those it had copied (method copy).
    #[error("copy mismatch: skopeo copied {copied} and read back {read}")]
    CopyMismatch {
        /// SHA-256 of the copy.
        copied: Digest,
        /// SHA-256 of the bytes that skopeo read.
        read: Digest,
    },
    /// The cache returned something other than the published bytes.
    #[error("read-back mismatch: {}", read_back(*.read))]
    ReadBackMismatch {
        /// SHA-256 of the object; `None` where there is no file.
        read: Option<Digest>,
    },
    /// A verifier refused the bytes.
    #[error("refused by a verifier: {} (exit status {status})", Escaped(.message))]
    RefusedByVerifier {
        /// Its name, and the end of what it printed.
        message: String,
        /// Its exit status.
        status: i32,
        /// Its position among the verifiers of the run, from 0.
        verifier: u8,
    },
    /// The cache has no such object and the network must not be used.
    #[error("not in the cache (offline mode){}", quarantine_note(.quarantined.as_deref()))]
    Offline {
        /// Where a corrupt object was moved to.
        quarantined: Option<String>,
    },
    /// An effect failed, and a retry would not help.
    #[error("{error}")]
    EffectFailed {
        /// The failure.
        error: EffectError,
    },
    /// An effect failed in every attempt.
    #[error("{error} (after {attempts} {})", if *.attempts == 1 { "attempt" } else { "attempts" })]
    RetriesExhausted {
        /// Attempts made.
        attempts: u32,
        /// The failure of the last one.
        error: EffectError,
    },
}

fn read_back(read: Option<Digest>) -> String {
    read.map_or_else(
        || "the published object is missing or not a file".to_owned(),
        |digest| format!("the cache returned {digest}"),
    )
}

fn not_an_index_note(reason: Option<&NotAnIndex>) -> String {
    reason.map_or_else(String::new, |reason| {
        format!("; and the bytes are not an index: {reason}")
    })
}

fn quarantine_note(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| {
        format!("; the object was corrupt and is now {}", Escaped(name))
    })
}

/// Why an effect failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum EffectError {
    /// The bytes could not be fetched.
    #[error("{}: {}", .kind, Escaped(.message))]
    Command {
        /// The kind of failure: it decides about retries, exit status and hint.
        kind: FailureKind,
        /// skopeo's own message, decoded and truncated, or ours.
        message: String,
    },
    /// A file-system call failed.
    #[error("cannot {} {}: {}", Escaped(.operation), Escaped(.path), Escaped(.error))]
    Disk {
        /// The system's error text.
        error: String,
        /// The operation, as an infinitive: "open", "rename to".
        operation: String,
        /// The path that it was applied to.
        path: String,
    },
    /// A verifier gave no verdict: it could not be run, or did not exit by itself.
    #[error("no verdict of a verifier: {}", Escaped(.message))]
    Verifier {
        /// Its name, and what happened.
        message: String,
    },
    /// The fetch was cancelled.
    #[error("{reason}")]
    Cancelled {
        /// Who or what cancelled it.
        #[from]
        reason: CancelReason,
    },
    /// The audit log could not be written, so the transition must not be acted on.
    #[error("cannot write the audit log: {}", Escaped(.error))]
    AuditLog {
        /// The log's error text.
        error: String,
    },
}

/// Why a run was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum CancelReason {
    /// SIGINT or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// The time for the whole run is over.
    #[error("deadline exceeded")]
    Deadline,
    /// The osbuild host closed its socket.
    #[error("the host hung up")]
    HungUp,
}

/// Kinds of failures to fetch bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The registry or storage has no such manifest or name.
    #[error("not found")]
    NotFound,
    /// The registry requires other credentials.
    #[error("authentication failed")]
    Authentication,
    /// A credentials file can't be read or parsed.
    #[error("cannot read the credentials")]
    CredentialsFile,
    /// A credential helper is missing or failed.
    #[error("credential helper failed")]
    CredentialHelper,
    /// A TLS connection could not be established, for a reason not named below.
    #[error("TLS failed")]
    Tls,
    /// The certificate authority of the registry is unknown.
    #[error("TLS failed")]
    TlsAuthority,
    /// The registry's certificate has expired or is not yet valid.
    #[error("TLS failed")]
    TlsExpired,
    /// The registry's certificate is for other host names.
    #[error("TLS failed")]
    TlsHostName,
    /// The registry's certificate has no subject alternative name.
    #[error("TLS failed")]
    TlsNoSan,
    /// Something other than TLS, or than HTTP, answers.
    #[error("TLS failed")]
    NotTls,
    /// The registry answers in plain HTTP, where TLS was required.
    #[error("TLS failed")]
    PlainHttp,
    /// A proxy refuses the connection, or requires credentials.
    #[error("refused by the proxy")]
    Proxy,
    /// A proxy can't be reached, or can't reach the registry.
    #[error("proxy failed")]
    ProxyUnavailable,
    /// The ping or the token request was answered, but not as a registry does.
    #[error("no registry answers there")]
    NoRegistry,
    /// skopeo itself found that the bytes have another digest.
    #[error("digest mismatch")]
    DigestMismatch,
    /// skopeo itself found that the bytes are not a manifest list.
    #[error("not an image index")]
    NotAnIndex,
    /// More bytes than an index may have, or than staging may hold.
    #[error("too large")]
    TooLarge,
    /// The registry limits the rate of requests.
    #[error("rate limited")]
    RateLimited,
    /// The registry reported an error of its own (HTTP 5xx).
    #[error("registry error")]
    Server,
    /// The registry could not be reached, or the connection broke.
    #[error("network error")]
    Network,
    /// The command's timeout expired.
    #[error("timed out")]
    Timeout,
    /// The registry client got an answer that is not one of a registry.
    #[error("unexpected answer")]
    UnexpectedAnswer,
    /// The registry client can't do what skopeo would, which may not be used or is missing.
    #[error("the registry client can't be used")]
    RegistryClient,
    /// There is no such skopeo program.
    #[error("cannot run skopeo")]
    SkopeoNotFound,
    /// skopeo could not be started.
    #[error("cannot run skopeo")]
    SkopeoNotStarted,
    /// Anything else.
    #[error("skopeo failed")]
    Other,
}

impl FailureKind {
    /// The kind of an HTTP status of a registry, where the status alone tells.
    #[must_use]
    pub const fn of_status(status: u16) -> Option<Self> {
        Some(match status {
            401 | 403 => Self::Authentication,
            404 | 410 => Self::NotFound,
            407 => Self::Proxy,
            429 => Self::RateLimited,
            408 | 500..=599 => Self::Server,
            _ => return None,
        })
    }

    /// The kind of an answer with this status that the registry client can't use.
    #[must_use]
    pub const fn of_answer(status: u16) -> Self {
        match Self::of_status(status) {
            Some(kind) => kind,
            None => Self::UnexpectedAnswer,
        }
    }

    /// Whether a retry may succeed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Server
                | Self::Network
                | Self::ProxyUnavailable
                | Self::Timeout
        )
    }
}

impl EffectError {
    /// Whether a retry may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Command { kind, .. } if kind.is_transient())
    }
}
