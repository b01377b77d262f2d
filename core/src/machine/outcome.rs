//! What the caller reports of an effect.

use serde::{Deserialize, Serialize};

use super::{CacheEntry, Content, ContentInfo, EffectError, Staging};

/// How a published object got its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The name was free.
    New,
    /// Another process had published the same bytes.
    AlreadyThere,
    /// A corrupt object was moved to this name, relative to the cache.
    Replaced(String),
}

/// The result of an effect: a claim, from which the core draws its own
/// conclusions. No outcome says "verified".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Outcome<C> {
    /// The cache was looked at; also where quarantine found nothing to move.
    LookedUp {
        /// What is at the object's name.
        entry: CacheEntry<C>,
    },
    /// The object was moved to quarantine.
    Quarantined {
        /// Its new name, relative to the cache.
        name: String,
    },
    /// Names in the staging directory are reserved.
    Staged {
        /// The reserved names.
        staging: Staging,
    },
    /// The manifest bytes were fetched.
    Fetched {
        /// The bytes.
        content: C,
    },
    /// skopeo read its copy.
    CopyRead {
        /// The bytes that it read.
        content: C,
    },
    /// skopeo computed the digest of its copy.
    ManifestDigest {
        /// What it printed, truncated.
        digest: String,
    },
    /// Answers [`Effect::Continue`](super::Effect::Continue).
    Continued,
    /// The backoff has elapsed.
    BackoffElapsed,
    /// A verifier exited. Only status 0 approves the bytes.
    VerifierExited {
        /// Why it refuses them: its name, and the end of what it printed, truncated. Empty
        /// with status 0.
        message: String,
        /// Its exit status.
        status: i32,
    },
    /// The bytes were put into the cache.
    Published {
        /// How they got their name.
        placement: Placement,
        /// What is at that name now.
        read_back: CacheEntry<C>,
    },
    /// The effect failed.
    Failed {
        /// The kind of failure and its message.
        error: EffectError,
    },
}

impl<C: Content> Outcome<C> {
    /// The same outcome with [`ContentInfo`] in place of bytes, as an event
    /// carries it.
    #[must_use]
    pub fn to_info(&self) -> Outcome<ContentInfo> {
        match self {
            Self::LookedUp { entry } => Outcome::LookedUp {
                entry: entry.to_info(),
            },
            Self::Quarantined { name } => Outcome::Quarantined { name: name.clone() },
            Self::Staged { staging } => Outcome::Staged {
                staging: staging.clone(),
            },
            Self::Fetched { content } => Outcome::Fetched {
                content: content.info().clone(),
            },
            Self::CopyRead { content } => Outcome::CopyRead {
                content: content.info().clone(),
            },
            Self::ManifestDigest { digest } => Outcome::ManifestDigest {
                digest: digest.clone(),
            },
            Self::Continued => Outcome::Continued,
            Self::BackoffElapsed => Outcome::BackoffElapsed,
            Self::VerifierExited { message, status } => Outcome::VerifierExited {
                message: message.clone(),
                status: *status,
            },
            Self::Published {
                placement,
                read_back,
            } => Outcome::Published {
                placement: placement.clone(),
                read_back: read_back.to_info(),
            },
            Self::Failed { error } => Outcome::Failed {
                error: error.clone(),
            },
        }
    }
}

impl<C> Outcome<C> {
    /// What is at the object's name, as the caller found it.
    #[must_use]
    pub const fn cache_entry(&self) -> Option<&CacheEntry<C>> {
        match self {
            Self::LookedUp { entry }
            | Self::Published {
                read_back: entry, ..
            } => Some(entry),
            _ => None,
        }
    }

    /// The kind of the outcome, as the transition table names it.
    #[must_use]
    pub const fn kind(&self) -> OutcomeKind {
        match self {
            Self::LookedUp { entry } => match entry {
                CacheEntry::Absent => OutcomeKind::Absent,
                CacheEntry::File { .. } => OutcomeKind::Found,
                CacheEntry::Oversized { .. } => OutcomeKind::Oversized,
                CacheEntry::NotAFile => OutcomeKind::NotAFile,
            },
            Self::Quarantined { .. } => OutcomeKind::Quarantined,
            Self::Staged { .. } => OutcomeKind::Staged,
            Self::Fetched { .. } => OutcomeKind::Fetched,
            Self::CopyRead { .. } => OutcomeKind::CopyRead,
            Self::ManifestDigest { .. } => OutcomeKind::ManifestDigest,
            Self::Continued => OutcomeKind::Continued,
            Self::BackoffElapsed => OutcomeKind::BackoffElapsed,
            Self::VerifierExited { .. } => OutcomeKind::VerifierExited,
            Self::Published { .. } => OutcomeKind::Published,
            Self::Failed { .. } => OutcomeKind::Failed,
        }
    }
}

listed! {
    /// The kinds of outcomes; looking up has four.
    #[expect(missing_docs, reason = "the variants of `Outcome` document each")]
    OutcomeKind {
        Absent, Found, Oversized, NotAFile, Quarantined, Staged, Fetched, CopyRead,
        ManifestDigest, Continued, BackoffElapsed, VerifierExited, Published, Failed,
    }
}
