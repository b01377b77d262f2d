//! Duplicate keys of JSON objects, which most parsers accept silently.
//!
//! RFC 8259, section 4: "When the names within an object are not unique, the behavior of
//! software that receives such an object is unpredictable."

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The keys of an object that were read so far, in a few bytes per key.
///
/// Only 64 bits of each key's hash are kept. The hash has no random seed, so that a document
/// gets the same answer each time. Two keys with one hash, which an author can construct,
/// only make a document count as one with a duplicate key. A tree, unlike a hash table, needs no
/// second table while it grows, and one small allocation for an ordinary object.
#[derive(Debug, Default)]
pub(crate) struct KeySet(BTreeSet<u64>);

impl KeySet {
    /// Adds a key; false if it is a duplicate.
    pub(crate) fn insert(&mut self, key: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.0.insert(hasher.finish())
    }
}
