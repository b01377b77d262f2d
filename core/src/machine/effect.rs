//! What a state asks its caller to do.

use serde::{Deserialize, Serialize};

use super::Method;
use crate::digest::Digest;
use crate::request::Request;

/// An operation that the core asks its caller to perform. Once [`Self::LookUp`],
/// [`Self::Quarantine`] or [`Self::Publish`] succeeds, its result is durable. Exhaustive on
/// purpose: a caller handles every effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<'a, C> {
    /// Read the cache's object of this digest, and make it durable.
    LookUp {
        /// The object's name.
        digest: Digest,
    },
    /// Move the cache's object of this digest to quarantine, if its bytes still
    /// don't hash to its name.
    Quarantine {
        /// The object's name.
        digest: Digest,
    },
    /// Reserve names in this process's staging directory.
    Stage,
    /// Fetch the manifest bytes.
    Fetch {
        /// The request.
        request: &'a Request,
        /// The commands to use.
        method: Method,
        /// Where `skopeo copy` writes to.
        staging: &'a Staging,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// Wait before the next attempt.
    Backoff {
        /// The attempt that failed, from 1.
        attempt: u32,
    },
    /// Have skopeo read its copy (method copy).
    ReadCopy {
        /// Where the copy is.
        staging: &'a Staging,
        /// The attempt that made it.
        attempt: u32,
    },
    /// Have skopeo compute the digest of its copy (method copy).
    ManifestDigest {
        /// Where the copy is.
        staging: &'a Staging,
        /// The attempt that made it.
        attempt: u32,
    },
    /// Run a verifier on the verified bytes.
    Authenticate {
        /// The request.
        request: &'a Request,
        /// The bytes.
        content: &'a C,
        /// Its position among the verifiers of the task, from 0.
        verifier: u8,
    },
    /// Do nothing; answer [`Outcome::Continued`](super::Outcome::Continued).
    Continue,
    /// Put the bytes into the cache: write, fsync, rename without replacing, fsync
    /// the directory, read back.
    Publish {
        /// The object's name.
        digest: Digest,
        /// The object's bytes.
        content: &'a C,
        /// Where to write them first.
        staging: &'a Staging,
    },
}

/// Names in a staging directory, reserved for one fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Staging(String);

impl Staging {
    /// Wraps a name prefix, relative to the cache.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self(name)
    }

    /// The name prefix, relative to the cache.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
