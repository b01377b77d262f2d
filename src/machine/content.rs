//! Bytes, and what can be told of them.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::index::{Index, NotAnIndex, Summary};

/// What a fetch carries from state to state: [`Bytes`] where it fetches,
/// [`Facts`] where a log is replayed that has only these.
///
/// A state over `Facts` is another type than the same state over `Bytes`, so
/// nothing that was replayed can be taken for something that was verified.
pub trait Content: Clone + Eq + std::fmt::Debug + sealed::Sealed {
    /// What the core decides by.
    fn facts(&self) -> &Facts;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Bytes {}
    impl Sealed for super::Facts {}
}

/// What can be told of bytes: their SHA-256, their number, and whether they are
/// an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// The index they are, or why they are none.
    pub read_as: Classified,
    /// How many there are.
    pub size: u64,
}

/// An index, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Classified {
    /// The bytes are an index.
    Index(Summary),
    /// They are not.
    NotAnIndex(NotAnIndex),
}

impl Facts {
    fn of(bytes: &[u8]) -> Self {
        let read_as = match Index::parse(bytes) {
            Ok(index) => Classified::Index(index.summary()),
            Err(refusal) => Classified::NotAnIndex(refusal),
        };
        Self {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            read_as,
        }
    }
}

impl Content for Facts {
    fn facts(&self) -> &Facts {
        self
    }
}

/// Bytes from outside. Cheap to clone; the facts are worked out once, from the
/// bytes themselves.
#[derive(Clone)]
pub struct Bytes(Arc<(Vec<u8>, OnceLock<Facts>)>);

impl Bytes {
    /// The bytes themselves.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new((bytes, OnceLock::new())))
    }
}

impl Content for Bytes {
    fn facts(&self) -> &Facts {
        let (bytes, facts) = &*self.0;
        facts.get_or_init(|| Facts::of(bytes))
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Bytes {}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.as_slice().len())
    }
}
