//! Why some bytes are not an index.

use serde::{Deserialize, Serialize};

use super::descriptor::DescriptorError;
use super::json::specified_key;
use super::{MAX_MANIFEST_SIZE, MediaType};
use crate::escape::{Escaped, quote};

/// The first rule that some bytes break.
///
/// Texts from the document are truncated when they are stored and escaped when they are
/// shown.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
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
    /// The bytes are not JSON (RFC 8259).
    #[error("the document is not JSON: {reason}")]
    NotJson {
        /// The parser's message and position; it contains nothing of the document.
        reason: String,
    },
    /// The document is JSON with something that some readers reject.
    #[error("the document is JSON that some readers reject: {0}")]
    NotInteroperable(#[from] NotInteroperable),
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
    /// The media type is not a string, or has a lone surrogate escape.
    #[error("mediaType is not a Unicode string")]
    MediaTypeNotString,
    /// The version of the schema is not 2.
    #[error("schemaVersion is {}, expected 2", version(*found))]
    SchemaVersion {
        /// The document's version; `None` if it is missing or not an integer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<i64>,
    },
    /// The document is of another kind: its list of manifests is missing or null.
    #[error("the document has no list of manifests{}", in_parentheses(.media_type.as_deref()))]
    NoManifests {
        /// Its media type, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
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
    /// An object has one key twice.
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

impl NotAnIndex {
    /// The broken rule's stable name, for programs: the tags of the serialized reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::NotJson { .. } => "not-json",
            Self::NotInteroperable(reason) => match reason {
                NotInteroperable::Depth => "not-interoperable-depth",
                NotInteroperable::LoneSurrogate => "not-interoperable-lone-surrogate",
                NotInteroperable::Number => "not-interoperable-number",
            },
            Self::NotAnObject => "not-an-object",
            Self::SingleImage { .. } => "single-image",
            Self::MediaType { .. } => "media-type",
            Self::MediaTypeNotString => "media-type-not-string",
            Self::SchemaVersion { .. } => "schema-version",
            Self::NoManifests { .. } => "no-manifests",
            Self::ManifestsNotAList => "manifests-not-a-list",
            Self::AlsoAnImage { .. } => "also-an-image",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::AmbiguousKey { .. } => "ambiguous-key",
            Self::Descriptor { error, .. } => match error {
                DescriptorError::NotAnObject => "descriptor-not-an-object",
                DescriptorError::Missing { .. } => "descriptor-missing",
                DescriptorError::Type { .. } => "descriptor-type",
                DescriptorError::EmptyMediaType => "descriptor-empty-media-type",
                DescriptorError::InvalidDigest { .. } => "descriptor-invalid-digest",
                DescriptorError::DuplicateKey { .. } => "descriptor-duplicate-key",
                DescriptorError::AmbiguousKey { .. } => "descriptor-ambiguous-key",
            },
        }
    }
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

/// What some readers of JSON reject (RFC 8259, sections 6, 8.2 and 9).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotInteroperable {
    /// Arrays and objects are nested too deeply.
    #[error("nested deeper than 127 levels")]
    Depth,
    /// A key contains half of a surrogate pair, such as `\ud83d`.
    #[error("a key with a lone surrogate escape")]
    LoneSurrogate,
    /// A number is too large.
    #[error("a number beyond the range of a double")]
    Number,
}
