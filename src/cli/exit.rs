//! Exit statuses.

use std::process::ExitCode;

use clap::ValueEnum;
use skopeo_index_core::machine::{CancelReason, Cause, EffectError, Failed, FailureKind};

/// How the process ends. Man pages list the statuses with these descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ExitStatus {
    /// Success: everything that was asked for is there.
    Success = 0,
    /// Another failure.
    Other = 1,
    /// Usage error or invalid input; nothing was done.
    Usage = 2,
    /// Digest mismatch: the bytes have another digest.
    DigestMismatch = 10,
    /// The bytes are not an index.
    NotAnIndex = 11,
    /// The registry requires other credentials.
    Authentication = 12,
    /// Not found: no such name, digest, file or cache.
    NotFound = 13,
    /// Transient failures in every attempt.
    RetriesExhausted = 14,
    /// An object of the cache is corrupt.
    CacheCorrupt = 15,
    /// The audit log is broken: it was changed.
    AuditBroken = 16,
    /// The end of the audit log is missing.
    AuditTruncated = 17,
    /// A verifier refused the bytes, or gave no verdict.
    Refused = 18,
    /// The deadline of the run was exceeded.
    Deadline = 124,
    /// Interrupted by SIGINT or SIGTERM.
    Interrupted = 130,
}

/// Exit statuses in `--help`.
const TABLE: &str = "\
Exit status:
  0 success               10 digest mismatch      14 transient failures, retries exhausted
  1 other failure         11 not an index         15 cache object corrupt
  2 usage                 12 authentication       16 audit log broken, 17 truncated
                          13 not found            18 refused by a verifier
                                                  124 deadline, 130 interrupted";

/// What the statuses of several items make.
pub(super) const SEVERAL_FAILURES: &str = "If several items fail, the first one in the \
request sets the status; 124 or 130 take precedence.";

/// What `--help` says about exit statuses.
pub(super) fn help() -> String {
    format!("{TABLE}\n{SEVERAL_FAILURES}")
}

impl ExitStatus {
    /// Combines the statuses of two items: the first failure counts, unless the run was
    /// cancelled.
    #[must_use]
    pub(super) const fn and(self, next: Self) -> Self {
        match (self, next) {
            _ if self.is_cancelled() => self,
            (Self::Success, _) => next,
            _ if next.is_cancelled() => next,
            _ => self,
        }
    }

    /// Whether the item was cancelled with the run.
    pub(super) const fn is_cancelled(self) -> bool {
        matches!(self, Self::Deadline | Self::Interrupted)
    }

    /// The status of a fetch.
    pub(super) fn of_result<T>(result: &Result<T, Failed>) -> Self {
        let failed = result.as_ref().err();
        failed.map_or(Self::Success, |failed| Self::of_cause(failed.cause()))
    }

    /// The status of a failure.
    pub(super) const fn of_cause(cause: &Cause) -> Self {
        match cause {
            Cause::NotAnIndex { .. } => Self::NotAnIndex,
            Cause::DigestMismatch { .. }
            | Cause::SkopeoDigestMismatch { .. }
            | Cause::CopyMismatch { .. } => Self::DigestMismatch,
            Cause::ReadBackMismatch { .. }
            | Cause::Offline {
                quarantined: Some(_),
            } => Self::CacheCorrupt,
            Cause::Offline { quarantined: None } => Self::NotFound,
            Cause::RefusedByVerifier { .. } => Self::Refused,
            Cause::EffectFailed { error } => Self::of_error(error),
            Cause::RetriesExhausted { .. } => Self::RetriesExhausted,
        }
    }

    /// The status of a failed effect.
    pub(super) const fn of_error(error: &EffectError) -> Self {
        match error {
            EffectError::Command { kind, .. } => match kind {
                FailureKind::NotFound => Self::NotFound,
                FailureKind::Authentication
                | FailureKind::CredentialsFile
                | FailureKind::CredentialHelper => Self::Authentication,
                FailureKind::DigestMismatch => Self::DigestMismatch,
                FailureKind::NotAnIndex | FailureKind::TooLarge => Self::NotAnIndex,
                FailureKind::RateLimited
                | FailureKind::Server
                | FailureKind::Network
                | FailureKind::ProxyUnavailable
                | FailureKind::Timeout => Self::RetriesExhausted,
                FailureKind::Tls
                | FailureKind::TlsAuthority
                | FailureKind::TlsExpired
                | FailureKind::TlsHostName
                | FailureKind::TlsNoSan
                | FailureKind::NotTls
                | FailureKind::Proxy
                | FailureKind::NoRegistry
                | FailureKind::PlainHttp
                | FailureKind::UnexpectedAnswer
                | FailureKind::RegistryClient
                | FailureKind::SkopeoNotFound
                | FailureKind::SkopeoNotStarted
                | FailureKind::Other => Self::Other,
            },
            EffectError::Verifier { .. } => Self::Refused,
            EffectError::Cancelled { reason } => match reason {
                CancelReason::Deadline => Self::Deadline,
                CancelReason::Interrupted | CancelReason::HungUp => Self::Interrupted,
            },
            EffectError::Disk { .. } | EffectError::AuditLog { .. } => Self::Other,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::ExitStatus::{self, CacheCorrupt, Deadline, Interrupted, NotFound, Success};

    #[test]
    fn first_failure_sets_the_status_unless_cancelled() {
        for (items, expected) in [
            (&[][..], Success),
            (&[Success, NotFound, CacheCorrupt, Success], NotFound),
            (&[NotFound, Deadline, CacheCorrupt], Deadline),
            (&[NotFound, Interrupted, Deadline], Interrupted),
        ] {
            let combined = items.iter().copied().fold(Success, ExitStatus::and);
            assert_eq!(combined, expected, "{items:?}");
        }
    }
}
