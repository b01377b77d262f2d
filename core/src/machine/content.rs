//! Fetched bytes and what is derived from them.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::index::{Index, IndexSummary, NotAnIndex};

/// What a fetch carries from state to state: [`ManifestBytes`] when it fetches,
/// [`ContentInfo`] when an audit log is replayed.
///
/// A state over `ContentInfo` is another type than the same state over
/// `ManifestBytes`, so a replayed fetch can't be mistaken for a verified one.
pub trait Content: Clone + Eq + std::fmt::Debug + sealed::Sealed {
    /// Digest, size and classification of the bytes.
    fn info(&self) -> &ContentInfo;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ManifestBytes {}
    impl Sealed for super::ContentInfo {}
}

/// What is derived from bytes. The core decides by nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentInfo {
    /// Whether the bytes are an index.
    pub classification: Classification,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
}

/// Whether bytes are an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Classification {
    /// The bytes are an index with this summary.
    Index(IndexSummary),
    /// The bytes are not an index, for this reason.
    NotAnIndex(NotAnIndex),
}

impl ContentInfo {
    fn of(bytes: &[u8]) -> Self {
        let classification = match Index::parse(bytes) {
            Ok(index) => Classification::Index(index.summary()),
            Err(reason) => Classification::NotAnIndex(reason),
        };
        Self {
            classification,
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }
}

impl Content for ContentInfo {
    fn info(&self) -> &ContentInfo {
        self
    }
}

/// Fetched or cached bytes. Cheap to clone; [`ContentInfo`] is computed from them once, when
/// it is first needed.
#[derive(Clone)]
pub struct ManifestBytes(Arc<(Vec<u8>, OnceLock<ContentInfo>)>);

impl ManifestBytes {
    /// The bytes themselves.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0.0
    }
}

impl From<Vec<u8>> for ManifestBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new((bytes, OnceLock::new())))
    }
}

impl Content for ManifestBytes {
    fn info(&self) -> &ContentInfo {
        let (bytes, info) = &*self.0;
        info.get_or_init(|| ContentInfo::of(bytes))
    }
}

impl PartialEq for ManifestBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for ManifestBytes {}

impl std::fmt::Debug for ManifestBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.as_slice().len())
    }
}
