//! Why some bytes are not an index.

use serde::{Deserialize, Serialize};

use super::descriptor::DescriptorError;
use super::json::Ambiguity;
use super::{MAX_MANIFEST_SIZE, MediaType};
use crate::escape;

/// Why some bytes are not an index.
///
/// Texts of the document are shortened when they are taken and escaped when
/// they are shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum NotAnIndex {
    /// More bytes than a manifest may have.
    #[error("{size} bytes are more than a manifest may have ({MAX_MANIFEST_SIZE})")]
    TooLarge {
        /// The size of the document in bytes, as far as it was read.
        size: u64,
    },
    /// Not JSON (RFC 8259), nested deeper than 127 levels, or with a number
    /// beyond any double.
    #[error("it is not JSON: {reason}")]
    NotJson {
        /// What is wrong where; nothing of the document is in it.
        reason: String,
    },
    /// JSON, and something else than an object.
    #[error("it is JSON, but not an object")]
    NotAnObject,
    /// The manifest of one image.
    #[error(
        "it is the manifest of a single image{}; give the digest of the index that lists it, \
         as `skopeo-index resolve NAME:TAG` tells it",
        of(media_type)
    )]
    SingleImage {
        /// Its media type; without one it was known by its keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
    /// A media type that is neither an index's nor an image's.
    #[error(
        "its media type is {}, neither {} nor {}",
        escape::quote(found),
        MediaType::OciImageIndex,
        MediaType::DockerManifestList
    )]
    MediaType {
        /// The media type as it stands there.
        found: String,
    },
    /// The media type is there and is not a string.
    #[error("its mediaType is not a string")]
    MediaTypeNotString,
    /// The version of the schema isn't 2.
    #[error("its schemaVersion is {}, where the specification wants 2", version(*found))]
    SchemaVersion {
        /// The version, if it is an integer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<i64>,
    },
    /// The list of manifests isn't there, or null.
    #[error("it has no list of manifests")]
    NoManifests,
    /// The list of manifests is something else.
    #[error("its manifests are not a list")]
    ManifestsNotAList,
    /// An index that some reader takes for an image (CVE-2021-41190).
    #[error(
        "it is ambiguous: an index that also has {}, so that some readers take it for an image; \
         don't use it, and tell whoever published it",
        escape::quote(key)
    )]
    AlsoAnImage {
        /// The key of an image.
        key: String,
    },
    /// Two keys of one object that a reader may take for one.
    #[error(
        "it has the key {} twice in one object: readers differ in which one counts",
        escape::quote(key)
    )]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A deciding key in another spelling, which only some readers accept.
    #[error(
        "it has a deciding key spelt {}: some readers take it for that key, others don't",
        escape::quote(key)
    )]
    AmbiguousKey {
        /// The key as it is spelt.
        key: String,
    },
    /// A descriptor in the list is not one.
    #[error("manifests[{position}] is not a descriptor: {error}")]
    Descriptor {
        /// The first rule that it breaks.
        error: DescriptorError,
        /// Its position in the list, from 0.
        position: u32,
    },
}

fn of(media_type: &Option<String>) -> String {
    let named = |name: &String| format!(" ({})", escape::Escaped(name));
    media_type.as_ref().map_or_else(String::new, named)
}

fn version(found: Option<i64>) -> String {
    found.map_or_else(
        || "missing or not an integer".to_owned(),
        |number| number.to_string(),
    )
}

impl From<Ambiguity> for NotAnIndex {
    fn from(doubt: Ambiguity) -> Self {
        match doubt {
            Ambiguity::Duplicate(key) => Self::DuplicateKey {
                key: escape::truncate_message(&key),
            },
            Ambiguity::Spelling(key) => Self::AmbiguousKey {
                key: escape::truncate_message(&key),
            },
        }
    }
}
