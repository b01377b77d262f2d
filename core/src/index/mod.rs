//! Parses raw bytes into an [`Index`], or names the first rule that they break.
//!
//! ```text
//!  bytes ─▶ size ─▶ JSON ─▶ manifests ─▶ keys once ─▶ media type, version ─▶ descriptors ─▶ Index
//! ```
//!
//! An index is a document that *every* reader takes for one: a document that readers
//! interpret differently (CVE-2021-41190) is rejected.

mod descriptor;
mod document;
mod error;
mod json;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::escape::truncate_message;

pub use descriptor::{Descriptor, DescriptorError, Platform};
use document::{Document, MIN_DESCRIPTOR_LEN};
pub use error::{NotAnIndex, NotInteroperable};
use json::Node;
pub(crate) use json::{decode_string, is_folded_equal};

/// Limit of a manifest's size in bytes. distribution-spec: "Client and registry
/// implementations SHOULD expect to be able to support manifest pushes of at
/// least 4 megabytes"; skopeo reads no more than 4 MiB.
pub const MAX_MANIFEST_SIZE: usize = 4 << 20;

/// Limit of the platforms in an [`IndexSummary`]: more than real indexes have, few enough
/// for a log line.
pub const MAX_SUMMARY_PLATFORMS: usize = 32;

/// The media types of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaType {
    /// OCI image index.
    #[serde(rename = "application/vnd.oci.image.index.v1+json")]
    OciImageIndex,
    /// Docker manifest list, version 2.
    #[serde(rename = "application/vnd.docker.distribution.manifest.list.v2+json")]
    DockerManifestList,
}

impl MediaType {
    /// Both media types, the preferred one first.
    pub const ALL: [Self; 2] = [Self::OciImageIndex, Self::DockerManifestList];

    /// The media type as documents and HTTP headers write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciImageIndex => "application/vnd.oci.image.index.v1+json",
            Self::DockerManifestList => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The origin of an index's media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaTypeOrigin {
    /// The document contains it.
    Explicit,
    /// The document doesn't contain one, so it is an OCI image index.
    Implied,
}

/// A document that every reader takes for an image index or a manifest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    media_type: MediaType,
    media_type_origin: MediaTypeOrigin,
    manifests: Vec<Descriptor>,
}

/// A summary of bounded size for events, logs and reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexSummary {
    /// Number of manifests.
    pub manifests: u32,
    /// The media type, explicit or implied.
    pub media_type: MediaType,
    /// The first [`MAX_SUMMARY_PLATFORMS`] distinct platforms, in the manifests' order.
    pub platforms: Vec<String>,
}

/// The shortest index.
const MIN_INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

impl IndexSummary {
    /// Whether an index of this size can have this summary: room for its manifests, and no more
    /// platforms than those have.
    #[must_use]
    pub(crate) fn fits(&self, size: u64) -> bool {
        let manifests = u64::from(self.manifests);
        // The last descriptor has no comma.
        let min = MIN_INDEX.len() as u64 + manifests * MIN_DESCRIPTOR_LEN as u64;
        min <= size + u64::from(manifests > 0)
            && self.platforms.len() as u64 <= manifests
            && self.platforms.len() <= MAX_SUMMARY_PLATFORMS
    }
}

/// Media types of single images' manifests, old and new.
const IMAGE_MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Keys that only a single image's manifest has.
const IMAGE_KEYS: [&str; 5] = ["config", "layers", "fsLayers", "history", "signatures"];

impl Index {
    /// Parses an index.
    ///
    /// # Errors
    /// The first broken rule, in the order of the module's picture, so that a single image
    /// is reported as one.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAnIndex> {
        if bytes.len() > MAX_MANIFEST_SIZE {
            let size = bytes.len() as u64;
            return Err(NotAnIndex::TooLarge { size });
        }
        let Document {
            top,
            manifests,
            duplicate,
        } = Document::read(bytes)?;
        let image_key = top.find_folded(&IMAGE_KEYS);
        if top.find_folded(&["manifests"]).is_none() {
            return Err(other_kind(top.get("mediaType"), image_key));
        }
        if let Some(key) = duplicate {
            return Err(NotAnIndex::DuplicateKey { key });
        }
        if let Some(key) = top.find_respelt(json::INDEX_KEYS) {
            return Err(NotAnIndex::AmbiguousKey { key });
        }
        let (media_type, media_type_origin) = match top.get("mediaType") {
            Some(node) => (parse_media_type(node)?, MediaTypeOrigin::Explicit),
            None => (MediaType::OciImageIndex, MediaTypeOrigin::Implied),
        };
        // image-index.md, schemaVersion: "This REQUIRED property specifies the
        // image manifest schema version. For this version of the specification,
        // this MUST be `2` to ensure backward compatibility".
        let found = match top.get("schemaVersion") {
            Some(Node::Number(version)) => version.parse().ok(),
            _ => None,
        };
        if found != Some(2) {
            return Err(NotAnIndex::SchemaVersion { found });
        }
        if let Some(key) = image_key {
            let key = truncate_message(key);
            return Err(NotAnIndex::AlsoAnImage { key });
        }
        // image-index.md, manifests: "This REQUIRED property contains a list of
        // manifests for specific platforms. While this property MUST be
        // present, the size of the array MAY be zero."
        if !matches!(top.get("manifests"), Some(Node::Array)) {
            return Err(NotAnIndex::ManifestsNotAList);
        }
        Ok(Self {
            media_type,
            media_type_origin,
            manifests: manifests?,
        })
    }

    /// The media type, explicit or implied.
    #[must_use]
    pub const fn media_type(&self) -> MediaType {
        self.media_type
    }

    /// Whether the document contains its media type.
    #[must_use]
    pub const fn media_type_origin(&self) -> MediaTypeOrigin {
        self.media_type_origin
    }

    /// The descriptors, in the document's order.
    #[must_use]
    pub fn manifests(&self) -> &[Descriptor] {
        &self.manifests
    }

    /// Summarizes the index for events, logs and reports.
    #[must_use]
    pub fn summary(&self) -> IndexSummary {
        let mut platforms = Vec::new();
        for platform in self.manifests.iter().filter_map(Descriptor::platform) {
            let platform = platform.to_string();
            if platforms.len() < MAX_SUMMARY_PLATFORMS && !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        // Never saturates: MAX_MANIFEST_SIZE holds far fewer descriptors.
        let manifests = u32::try_from(self.manifests.len()).unwrap_or(u32::MAX);
        IndexSummary {
            media_type: self.media_type,
            manifests,
            platforms,
        }
    }
}

/// Why a document without a list of manifests is not an index.
fn other_kind(media_type: Option<&Node<'_>>, image_key: Option<&str>) -> NotAnIndex {
    let media_type = media_type.and_then(Node::text);
    let is_image = media_type
        .as_deref()
        .map_or(image_key.is_some(), is_image_media_type);
    let media_type = media_type.as_deref().map(truncate_message);
    if is_image {
        return NotAnIndex::SingleImage { media_type };
    }
    NotAnIndex::NoManifests { media_type }
}

/// image-index.md, mediaType: "When used, this field MUST contain the media type
/// `application/vnd.oci.image.index.v1+json`." Docker manifest lists have their own.
fn parse_media_type(node: &Node<'_>) -> Result<MediaType, NotAnIndex> {
    let text = node.text().ok_or(NotAnIndex::MediaTypeNotString)?;
    let mut all = MediaType::ALL.into_iter();
    all.find(|known| known.as_str() == text).ok_or_else(|| {
        let found = truncate_message(&text);
        if is_image_media_type(&text) {
            let media_type = Some(found);
            return NotAnIndex::SingleImage { media_type };
        }
        NotAnIndex::MediaType { found }
    })
}

fn is_image_media_type(text: &str) -> bool {
    IMAGE_MEDIA_TYPES.contains(&text)
}
