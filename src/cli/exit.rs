//! Exit statuses.

use std::process::ExitCode;

use skopeo_index_core::machine::{CancelReason, Cause, EffectError, FailureKind};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// All is there.
    Done = 0,
    /// Anything that has no status of its own.
    Other = 1,
    /// The command line, or the input it names, can't be understood.
    Usage = 2,
    /// The bytes have another digest.
    DigestMismatch = 10,
    /// The bytes are no index.
    NotAnIndex = 11,
    /// The registry wants other credentials.
    Authentication = 12,
    /// There is nothing of that name or digest.
    NotFound = 13,
    /// Transient failures, and no attempts left.
    GaveUp = 14,
    /// An object of the cache is corrupt.
    Corrupt = 15,
    /// The audit log is broken.
    AuditBroken = 16,
    /// The audit log is cut short.
    AuditCut = 17,
    /// The run's deadline has passed.
    Deadline = 124,
    /// SIGINT or SIGTERM.
    Interrupted = 130,
}

/// What `--help` says of exit statuses.
pub(super) const HELP: &str = "\
Exit status:
  0 all there             10 digest mismatch      14 transient failures, attempts used up
  1 other failure         11 not an index         15 cache object corrupt
  2 usage                 12 authentication       16 audit log broken, 17 cut short
                          13 not found            124 deadline, 130 interrupted
Of several failures, the first item's decides; where the deadline or a signal stopped an
item, 124 or 130.";

impl ExitStatus {
    /// Of several ends the first failure decides, unless the run was stopped.
    #[must_use]
    pub const fn and(self, next: Self) -> Self {
        match (self, next) {
            (Self::Deadline | Self::Interrupted, _) => self,
            (Self::Done, _) | (_, Self::Deadline | Self::Interrupted) => next,
            _ => self,
        }
    }

    /// The status that a failed fetch ends with.
    #[must_use]
    pub const fn of(cause: &Cause) -> Self {
        match cause {
            Cause::NotAnIndex { .. } => Self::NotAnIndex,
            Cause::DigestMismatch { .. }
            | Cause::SkopeoDigestMismatch { .. }
            | Cause::CopyMismatch { .. } => Self::DigestMismatch,
            Cause::ReadBackMismatch { .. }
            | Cause::Offline {
                quarantined: Some(_),
            } => Self::Corrupt,
            Cause::Offline { quarantined: None } => Self::NotFound,
            Cause::EffectFailed { trouble } => Self::of_trouble(trouble),
            Cause::RetriesExhausted { .. } => Self::GaveUp,
        }
    }

    /// The status that trouble outside a fetch ends with.
    #[must_use]
    pub const fn of_trouble(trouble: &EffectError) -> Self {
        match trouble {
            EffectError::Command { class, .. } => match class {
                FailureKind::NotFound => Self::NotFound,
                FailureKind::Authentication => Self::Authentication,
                FailureKind::DigestMismatch => Self::DigestMismatch,
                FailureKind::NotAnIndex | FailureKind::TooLarge => Self::NotAnIndex,
                FailureKind::RateLimited | FailureKind::Server | FailureKind::Network | FailureKind::Timeout => {
                    Self::GaveUp
                }
                FailureKind::Tls | FailureKind::NoSkopeo | FailureKind::Other => Self::Other,
            },
            EffectError::Cancelled {
                why: CancelReason::Deadline,
            } => Self::Deadline,
            EffectError::Cancelled {
                why: CancelReason::Interrupted | CancelReason::HungUp,
            } => Self::Interrupted,
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
    use super::ExitStatus::{self, Corrupt, Deadline, Done, Interrupted, NotFound};

    #[test]
    fn the_first_failure_decides_unless_the_run_was_stopped() {
        for (ends, decided) in [
            (&[][..], Done),
            (&[Done, NotFound, Corrupt, Done], NotFound),
            (&[NotFound, Deadline, Corrupt], Deadline),
            (&[NotFound, Interrupted, Deadline], Interrupted),
        ] {
            assert_eq!(
                ends.iter().copied().fold(Done, ExitStatus::and),
                decided,
                "{ends:?}"
            );
        }
    }
}
