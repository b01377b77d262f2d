//! What records say of bytes: sizes, and one digest's content over the whole log.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher};
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::contradiction::Contradiction;
use crate::digest::Digest;
use crate::index::MAX_MANIFEST_SIZE;
use crate::machine::{CacheEntry, Classification, ContentInfo, Outcome};

/// Limit of a file's size in bytes: Linux's `off_t` is signed.
const MAX_FILE_SIZE: u64 = i64::MAX as u64;

/// SHA-256 of no bytes.
pub(super) static EMPTY: LazyLock<Digest> = LazyLock::new(|| Digest::of(b""));

/// The content of each digest in a log: at most 80 bytes per distinct digest, which takes
/// several hundred bytes of the log itself.
#[derive(Debug, Default)]
pub(super) struct Contents(HashMap<Digest, KnownContent>);

/// What the latest record says of a digest.
#[derive(Debug, Eq, PartialEq)]
struct KnownContent {
    /// In bytes, at most [`MAX_MANIFEST_SIZE`].
    size: u64,
    /// Another version may classify the same bytes otherwise.
    version: VersionHash,
    classification: ClassificationHash,
}

/// Start of the SHA-256 of a version of the program.
pub(super) type VersionHash = [u8; 4];

/// Start of the SHA-256 of a classification.
pub(super) type ClassificationHash = [u8; 12];

/// Hashes a version, once for a run.
pub(super) fn version_hash(version: &str) -> VersionHash {
    start_of(Sha256::digest(version).into())
}

/// Hashes the classification in an outcome, where lines are parsed in parallel.
pub(super) fn classification_hash(outcome: &Outcome<ContentInfo>) -> Option<ClassificationHash> {
    let mut hasher = ShaHasher(Sha256::new());
    content_of(outcome)?.classification.hash(&mut hasher);
    Some(start_of(hasher.0.finalize().into()))
}

const fn content_of(outcome: &Outcome<ContentInfo>) -> Option<&ContentInfo> {
    match (outcome, outcome.cache_entry()) {
        (Outcome::Fetched { content } | Outcome::CopyRead { content }, _)
        | (_, Some(CacheEntry::File { content })) => Some(content),
        _ => None,
    }
}

impl Contents {
    /// Checks the content in an outcome, if there is one, with the hash of its
    /// classification.
    pub(super) fn check_outcome(
        &mut self,
        outcome: &Outcome<ContentInfo>,
        classification: Option<ClassificationHash>,
        version: VersionHash,
    ) -> Result<(), Contradiction> {
        if let Some(&CacheEntry::Oversized { size }) = outcome.cache_entry()
            && (size <= MAX_MANIFEST_SIZE as u64 || size > MAX_FILE_SIZE)
        {
            return Err(Contradiction::OversizedFile(size));
        }
        let (Some(content), Some(classification)) = (content_of(outcome), classification) else {
            return Ok(());
        };
        if content.size > MAX_MANIFEST_SIZE as u64 {
            return Err(Contradiction::ContentSize(content.size));
        }
        let now = KnownContent {
            size: content.size,
            version,
            classification,
        };
        let conflicts = |known: &KnownContent| {
            now.size != known.size || now.version == known.version && now != *known
        };
        if self.0.get(&content.digest).is_some_and(conflicts) {
            return Err(Contradiction::ContentConflict(content.digest));
        }
        self.0.insert(content.digest, now);
        match is_possible(content) {
            true => Ok(()),
            false => Err(Contradiction::ImpossibleContent(content.digest)),
        }
    }
}

/// Whether there can be bytes with this digest, size and classification.
fn is_possible(content: &ContentInfo) -> bool {
    let is_index = match &content.classification {
        Classification::Index(summary) => summary.fits(content.size),
        Classification::NotAnIndex(_) => true,
    };
    is_index && (content.size == 0) == (content.digest == *EMPTY)
}

/// Feeds a SHA-256 with what a type hashes of itself, which costs less than its JSON.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the whole SHA-256 is.
    fn finish(&self) -> u64 {
        0
    }
}

/// The first bytes of a hash.
fn start_of<const N: usize>(hash: [u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| hash[at])
}
