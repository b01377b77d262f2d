//! What is at a digest's name in a cache.

use serde::{Deserialize, Serialize};

use super::{Classification, Content, ContentInfo};
use crate::digest::Digest;
use crate::index::{IndexSummary, NotAnIndex};

/// What is at a digest's name in a cache, before anything is concluded from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CacheEntry<C> {
    /// The name is free.
    Absent,
    /// A regular file that is small enough for an index.
    File {
        /// All of its bytes.
        content: C,
    },
    /// A file that is larger than any index may be.
    Oversized {
        /// Number of bytes.
        size: u64,
    },
    /// A directory, a link, a device: not a regular file.
    NotAFile,
}

/// What an object is, once it is rehashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectStatus {
    /// An index whose bytes hash to its name.
    Intact {
        /// What the index holds.
        index: IndexSummary,
        /// Number of bytes.
        size: u64,
    },
    /// Its bytes hash to its name and are not an index.
    NotAnIndex(NotAnIndex),
    /// Its bytes don't hash to its name, or it is not a regular file.
    Corrupt,
    /// The cache has no object of this name.
    Missing,
}

impl<C: Content> CacheEntry<C> {
    /// Classifies the entry as the object of `name`.
    #[must_use]
    pub fn status(&self, name: Digest) -> ObjectStatus {
        match self {
            Self::Absent => ObjectStatus::Missing,
            Self::File { content } if content.info().digest == name => {
                let info = content.info();
                match &info.classification {
                    Classification::Index(index) => ObjectStatus::Intact {
                        index: index.clone(),
                        size: info.size,
                    },
                    Classification::NotAnIndex(reason) => ObjectStatus::NotAnIndex(reason.clone()),
                }
            }
            // Whatever its digest is: it can't be an index, so it is not hashed.
            Self::Oversized { size } => {
                ObjectStatus::NotAnIndex(NotAnIndex::TooLarge { size: *size })
            }
            Self::File { .. } | Self::NotAFile => ObjectStatus::Corrupt,
        }
    }

    /// SHA-256 of the file, if there is one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::File { content } => Some(content.info().digest),
            Self::Absent | Self::Oversized { .. } | Self::NotAFile => None,
        }
    }

    /// The same with [`ContentInfo`] in place of bytes, as an event carries it.
    #[must_use]
    pub fn to_info(&self) -> CacheEntry<ContentInfo> {
        match self {
            Self::Absent => CacheEntry::Absent,
            Self::File { content } => CacheEntry::File {
                content: content.info().clone(),
            },
            Self::Oversized { size } => CacheEntry::Oversized { size: *size },
            Self::NotAFile => CacheEntry::NotAFile,
        }
    }
}
