//! What records say of bytes: sizes, and one digest's content over the whole log.

use std::collections::HashMap;

use super::contradiction::Contradiction;
use crate::digest::Digest;
use crate::escape::to_json;
use crate::index::MAX_MANIFEST_SIZE;
use crate::machine::{CacheEntry, ContentInfo, Outcome};

/// Limit of a file's size in bytes: Linux's `off_t` is signed.
const MAX_FILE_SIZE: u64 = i64::MAX as u64;

/// The content of each digest in a log: at most 80 bytes per distinct digest, which takes
/// several hundred bytes of the log itself.
#[derive(Default)]
pub(super) struct Contents(HashMap<Digest, KnownContent>);

/// What the latest record says of a digest.
#[derive(PartialEq, Eq)]
struct KnownContent {
    /// In bytes, at most [`MAX_MANIFEST_SIZE`].
    size: u64,
    /// Start of the SHA-256 of the program's version and the classification: another version
    /// may classify the same bytes otherwise.
    version: [u8; 4],
    classification: [u8; 12],
}

impl Contents {
    /// Checks the content in an outcome, if there is one.
    pub(super) fn check_outcome(
        &mut self,
        outcome: &Outcome<ContentInfo>,
        version: &str,
    ) -> Result<(), Contradiction> {
        match outcome {
            Outcome::Fetched { content } | Outcome::CopyRead { content } => {
                self.check(content, version)
            }
            Outcome::LookedUp { entry }
            | Outcome::Published {
                read_back: entry, ..
            } => match entry {
                CacheEntry::File { content } => self.check(content, version),
                CacheEntry::Oversized { size }
                    if *size <= MAX_MANIFEST_SIZE as u64 || *size > MAX_FILE_SIZE =>
                {
                    Err(Contradiction::OversizedFile(*size))
                }
                CacheEntry::Oversized { .. } | CacheEntry::Absent | CacheEntry::NotAFile => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn check(&mut self, content: &ContentInfo, version: &str) -> Result<(), Contradiction> {
        if content.size > MAX_MANIFEST_SIZE as u64 {
            return Err(Contradiction::ContentSize(content.size));
        }
        let now = KnownContent {
            size: content.size,
            version: hash(version.as_bytes()),
            classification: hash(to_json(&content.classification).as_bytes()),
        };
        let conflicts = |known: &KnownContent| {
            now.size != known.size || now.version == known.version && now != *known
        };
        if self.0.get(&content.digest).is_some_and(conflicts) {
            return Err(Contradiction::ContentConflict(content.digest));
        }
        self.0.insert(content.digest, now);
        Ok(())
    }
}

/// The first bytes of a SHA-256.
fn hash<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut start = [0; N];
    let digest = Digest::of(bytes);
    start
        .iter_mut()
        .zip(digest.as_bytes())
        .for_each(|(to, from)| *to = *from);
    start
}
