//! Why a fetch fails.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::index::NotAnIndex;
use crate::text::{Escaped, quoted};

/// Why a fetch has failed: something the core found, or trouble outside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cause {
    /// The bytes aren't an index.
    #[error("not an image index: {why}")]
    NotAnIndex {
        /// Why not.
        why: NotAnIndex,
    },
    /// The bytes are an index and not the one that was asked for.
    #[error("digest mismatch: expected {expected}, got {actual}")]
    DigestMismatch {
        /// SHA-256 of the bytes.
        actual: Digest,
        /// The digest asked for.
        expected: Digest,
    },
    /// skopeo computes another digest than SHA-256 of the bytes (method copy).
    #[error(
        "digest mismatch: SHA-256 is {ours}, and skopeo says {}",
        quoted(skopeo)
    )]
    OpinionDiffers {
        /// SHA-256 of the bytes.
        ours: Digest,
        /// What skopeo printed.
        skopeo: String,
    },
    /// skopeo reads other bytes than it wrote (method copy).
    #[error("skopeo copied {copied} and reads {read} from the copy")]
    RereadDiffers {
        /// SHA-256 of the copy.
        copied: Digest,
        /// SHA-256 of what skopeo reads.
        read: Digest,
    },
    /// The cache gives back other bytes than were put into it.
    #[error("the cache gives back {read}, which is not what was put into it")]
    ReadBackDiffers {
        /// SHA-256 of what was read back.
        read: Digest,
    },
    /// The cache has no such object and the network may not be used.
    #[error("not in the cache, and offline{}", quarantined_note(.quarantined.as_deref()))]
    Offline {
        /// Where a corrupt object was moved to, if there was one.
        quarantined: Option<String>,
    },
    /// Trouble that another attempt won't help.
    #[error("{trouble}")]
    Trouble {
        /// Which.
        trouble: Trouble,
    },
    /// Trouble that lasted for all attempts.
    #[error("{trouble} (after {attempts} {})", if *.attempts == 1 { "attempt" } else { "attempts" })]
    GaveUp {
        /// Attempts made.
        attempts: u32,
        /// The last one's trouble.
        trouble: Trouble,
    },
}

fn quarantined_note(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| {
        format!(" (the object there was corrupt, see {name})")
    })
}

/// An effect that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Trouble {
    /// skopeo didn't do what it was asked for.
    #[error("{}: {}", .class, Escaped(.message))]
    Command {
        /// What sort of failure it is.
        class: Class,
        /// skopeo's own words, decoded and shortened, or ours.
        message: String,
    },
    /// A file-system call failed.
    #[error("cannot {doing} {}: {}", Escaped(.path), Escaped(.error))]
    Disk {
        /// What was being done.
        doing: String,
        /// What the system said.
        error: String,
        /// To what.
        path: String,
    },
    /// The fetch was told to stop.
    #[error("{why}")]
    Stopped {
        /// Why.
        why: Stop,
    },
    /// The audit log could not be written: what can't be recorded isn't done.
    #[error("cannot write the audit log: {}", Escaped(.error))]
    Unrecorded {
        /// What the system said.
        error: String,
    },
}

/// Why a fetch was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// SIGINT or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// The time for the whole run is over.
    #[error("the deadline of the run has passed")]
    Deadline,
    /// The osbuild host has closed its socket.
    #[error("the host hung up")]
    HungUp,
}

/// Sorts of failures of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The registry or storage has no such manifest or name.
    #[error("not found")]
    NotFound,
    /// The registry wants other credentials.
    #[error("authentication failed")]
    Authentication,
    /// TLS could not be established.
    #[error("TLS failed")]
    Tls,
    /// skopeo itself found that the bytes have another digest.
    #[error("digest mismatch")]
    DigestMismatch,
    /// skopeo itself found that the bytes are no manifest list.
    #[error("not an image index")]
    NotAnIndex,
    /// More bytes than an index may have, or than staging may hold.
    #[error("too large")]
    TooLarge,
    /// The registry wants fewer requests.
    #[error("rate limited")]
    RateLimited,
    /// The registry has trouble of its own.
    #[error("registry error")]
    Server,
    /// The way to the registry has.
    #[error("network error")]
    Network,
    /// The command's deadline passed.
    #[error("timed out")]
    Timeout,
    /// skopeo isn't there or can't be started.
    #[error("cannot run skopeo")]
    NoSkopeo,
    /// Anything else.
    #[error("skopeo failed")]
    Other,
}

/// Whether another attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may.
    Worthwhile,
    /// It won't.
    Pointless,
}

impl Class {
    /// Whether another attempt may help.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::RateLimited | Self::Server | Self::Network | Self::Timeout => Retry::Worthwhile,
            Self::NotFound
            | Self::Authentication
            | Self::Tls
            | Self::DigestMismatch
            | Self::NotAnIndex
            | Self::TooLarge
            | Self::NoSkopeo
            | Self::Other => Retry::Pointless,
        }
    }
}

impl Trouble {
    /// Whether another attempt may help.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Command { class, .. } => class.retry(),
            Self::Disk { .. } | Self::Stopped { .. } | Self::Unrecorded { .. } => Retry::Pointless,
        }
    }
}
