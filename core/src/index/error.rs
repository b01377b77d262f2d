//! Why some bytes are not an index.

use serde::{Deserialize, Serialize};

use super::descriptor::DescriptorError;
use super::json::{Ambiguity, specified_key};
use super::{MAX_MANIFEST_SIZE, MediaType};
use crate::escape::{Escaped, quote};

/// The first rule that some bytes break.
///
/// Texts from the document are truncated when they are stored and escaped when they are
/// shown.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum NotAnIndex {
    /// The bytes exceed [`MAX_MANIFEST_SIZE`].
    #[error("{size} bytes exceed the limit of {MAX_MANIFEST_SIZE} bytes")]
    TooLarge {
        /// Number of bytes, as far as they were read.
        size: u64,
    },
    /// The bytes are not JSON (RFC 8259), are nested deeper than 127 levels, or have a
    /// number beyond any double.
    #[error("the document is not JSON: {reason}")]
    NotJson {
        /// The parser's message and position; it contains nothing of the document.
        reason: String,
    },
    /// The document is a JSON value other than an object.
    #[error("the document is JSON, but not an object")]
    NotAnObject,
    /// The document is the manifest of one image.
    #[error(
        "the document is the manifest of a single image{}",
        in_parentheses(.media_type.as_deref())
    )]
    SingleImage {
        /// Its media type; `None` if its keys gave it away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
    /// The media type is neither an index's nor an image's.
    #[error(
        "mediaType is {}, expected {} or {}",
        quote(found),
        MediaType::OciImageIndex,
        MediaType::DockerManifestList
    )]
    MediaType {
        /// The document's media type.
        found: String,
    },
    /// The media type is not a string.
    #[error("mediaType is not a string")]
    MediaTypeNotString,
    /// The version of the schema is not 2.
    #[error("schemaVersion is {}, expected 2", version(*found))]
    SchemaVersion {
        /// The document's version; `None` if it is missing or not an integer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<i64>,
    },
    /// The list of manifests is missing or null.
    #[error("manifests is missing or null")]
    NoManifests,
    /// The list of manifests is not an array.
    #[error("manifests is not an array")]
    ManifestsNotAList,
    /// The document is an index that some readers treat as an image (CVE-2021-41190).
    #[error(
        "ambiguous document: an index with the key {}, which makes some readers treat it as an \
         image; do not use it, and report it to its publisher",
        quote(key)
    )]
    AlsoAnImage {
        /// A key that only images have.
        key: String,
    },
    /// An object has one key twice, at least to case-insensitive readers.
    #[error("duplicate key {}: readers differ in which value they use", quote(key))]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A key differs only by case from one that decides.
    #[error(
        "ambiguous key {}: case-insensitive readers treat it as {}",
        quote(key),
        quote(specified_key(key))
    )]
    AmbiguousKey {
        /// The key in the document's spelling.
        key: String,
    },
    /// An entry of the list is not a valid descriptor.
    #[error("manifests[{position}]: {error}")]
    Descriptor {
        /// The first rule that the entry breaks.
        error: DescriptorError,
        /// Its position in the list, from 0.
        position: u32,
    },
}

fn in_parentheses(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!(" ({})", Escaped(text)))
}

fn version(found: Option<i64>) -> String {
    found.map_or_else(
        || "missing or not an integer".to_owned(),
        |version| version.to_string(),
    )
}

impl From<Ambiguity> for NotAnIndex {
    fn from(ambiguity: Ambiguity) -> Self {
        match ambiguity {
            Ambiguity::Duplicate(key) => Self::DuplicateKey { key },
            Ambiguity::Spelling(key) => Self::AmbiguousKey { key },
        }
    }
}
