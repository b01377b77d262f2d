//! Objects of the cache, rehashed.

use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::IndexSummary;
use skopeo_index_core::machine::ObjectStatus;

use super::exit::ExitStatus;

pub(super) struct Object {
    pub(super) digest: Digest,
    /// What it is, or why it can't be read.
    pub(super) status: Result<ObjectStatus, String>,
}

impl Object {
    /// Reads and rehashes the object of a digest.
    pub(super) fn check(store: &Store, digest: Digest) -> Self {
        let read = store.read(digest).map(|entry| entry.status(digest));
        let status = read.map_err(|error| error.to_string());
        Self { digest, status }
    }

    pub(super) const fn exit_status(&self) -> ExitStatus {
        match &self.status {
            Ok(ObjectStatus::Intact { .. }) => ExitStatus::Success,
            Ok(ObjectStatus::NotAnIndex(_)) => ExitStatus::NotAnIndex,
            Ok(ObjectStatus::Corrupt) => ExitStatus::CacheCorrupt,
            Ok(ObjectStatus::Missing) => ExitStatus::NotFound,
            Err(_) => ExitStatus::Other,
        }
    }

    /// Why it is not an index, or can't be read.
    pub(super) fn reason(&self) -> Option<String> {
        match &self.status {
            Ok(ObjectStatus::NotAnIndex(reason)) => Some(reason.to_string()),
            Err(error) => Some(error.clone()),
            Ok(_) => None,
        }
    }

    /// Its status in JSON.
    pub(super) const fn word(&self) -> &'static str {
        match &self.status {
            Ok(ObjectStatus::Intact { .. }) => "intact",
            Ok(ObjectStatus::NotAnIndex(_)) => "not-an-index",
            Ok(ObjectStatus::Corrupt) => "corrupt",
            Ok(ObjectStatus::Missing) => "missing",
            Err(_) => "unreadable",
        }
    }

    /// Its status for people, who have to see at once what is wrong.
    pub(super) fn label(&self) -> String {
        match self.exit_status() {
            ExitStatus::Success => self.word().to_owned(),
            _ => self.word().to_uppercase().replace('-', " "),
        }
    }

    /// Whether its bytes are those of the digest, and another thing than an index.
    pub(super) const fn is_not_an_index(&self) -> bool {
        matches!(self.status, Ok(ObjectStatus::NotAnIndex(_)))
    }

    /// The index and its size, if it is intact.
    pub(super) const fn index(&self) -> Option<(&IndexSummary, u64)> {
        match &self.status {
            Ok(ObjectStatus::Intact { index, size }) => Some((index, *size)),
            _ => None,
        }
    }
}
