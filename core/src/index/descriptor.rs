//! The descriptors in an index, and their platforms.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::json::{
    Ambiguity, DESCRIPTOR_KEYS, DuplicateKey, Node, Object, PLATFORM_KEYS, specified_key,
};
use crate::digest::is_hex;
use crate::escape;

/// One entry of an index: media type, digest, size and platform of a manifest (OCI
/// image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    artifact_type: Option<String>,
}

/// The platform that an image runs on (OCI image-spec, image-index.md), shown as
/// `linux/arm64/v8`, escaped and truncated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
    os_version: Option<String>,
}

/// The first rule that a descriptor breaks. Keys of the platform are written `platform.os`.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DescriptorError {
    /// The entry is not an object.
    #[error("not an object")]
    NotAnObject,
    /// A required key is missing.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A value has the wrong type.
    #[error("{key} is not {expected}")]
    Type {
        /// The type that the specification requires, with its article.
        expected: String,
        /// The key.
        key: String,
    },
    /// The media type is an empty string.
    #[error("mediaType is empty")]
    EmptyMediaType,
    /// The digest is outside the grammar, or has the wrong length for its algorithm.
    #[error(
        "invalid digest {}: expected ALGORITHM:ENCODED (sha256: 64 hex digits, sha512: 128)",
        escape::quote(found)
    )]
    InvalidDigest {
        /// The document's digest.
        found: String,
    },
    /// An object has one key twice, at least to case-insensitive readers.
    #[error("duplicate key {}", escape::quote(key))]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A key differs only by case from one that decides.
    #[error(
        "ambiguous key {}: case-insensitive readers treat it as {}",
        escape::quote(key),
        escape::quote(specified_key(key))
    )]
    AmbiguousKey {
        /// The key in the document's spelling.
        key: String,
    },
}

impl Descriptor {
    /// The media type of the manifest; every non-empty text is legal.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The digest of the manifest; the algorithm need not be SHA-256.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The size of the manifest in bytes, at most 2^63 - 1.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The platform of the image; optional in the specification.
    #[must_use]
    pub const fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// The type of an artifact other than an image, like a signature.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref()
    }

    /// Reads one entry of `manifests`.
    pub(super) fn read(node: &Node<'_>, duplicate: DuplicateKey) -> Result<Self, DescriptorError> {
        let Node::Object(object) = node else {
            return Err(DescriptorError::NotAnObject);
        };
        if let Some(key) = duplicate {
            return Err(DescriptorError::DuplicateKey { key });
        }
        object.reject_ambiguous_keys(DESCRIPTOR_KEYS)?;

        // descriptor.md, mediaType: "This REQUIRED property contains the media
        // type of the referenced content."
        let media_type = required(object, "", "mediaType")?;
        if media_type.is_empty() {
            return Err(DescriptorError::EmptyMediaType);
        }
        // descriptor.md, digest: "This REQUIRED property is the _digest_ of the
        // targeted content, conforming to the requirements outlined in Digests."
        let digest = required(object, "", "digest")?;
        if !is_digest(digest) {
            let found = escape::truncate_message(digest);
            return Err(DescriptorError::InvalidDigest { found });
        }
        // descriptor.md, size: "This REQUIRED property specifies the size, in
        // bytes, of the raw content. […] The size MUST NOT be negative." It is an
        // int64.
        let size = match object.get("size") {
            None => return Err(missing("", "size")),
            Some(Node::Integer(size)) => u64::try_from(*size).ok(),
            Some(_) => None,
        };
        Ok(Self {
            media_type: media_type.to_owned(),
            digest: digest.to_owned(),
            size: size.ok_or_else(|| wrong_type("", "size", "an integer from 0 to 2^63 - 1"))?,
            platform: match object.get("platform") {
                None | Some(Node::Null) => None,
                Some(Node::Object(platform)) => Some(Platform::read(platform)?),
                Some(_) => return Err(wrong_type("", "platform", "an object")),
            },
            artifact_type: optional(object, "", "artifactType")?,
        })
    }
}

impl Platform {
    /// The operating system, like `linux`.
    #[must_use]
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The CPU architecture, like `arm64`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant of the CPU, like `v8`.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// The version of the operating system; used for Windows.
    #[must_use]
    pub fn os_version(&self) -> Option<&str> {
        self.os_version.as_deref()
    }

    fn read(object: &Object<'_>) -> Result<Self, DescriptorError> {
        object.reject_ambiguous_keys(PLATFORM_KEYS)?;
        // image-index.md, platform: architecture and os are each a "REQUIRED
        // property".
        Ok(Self {
            os: required(object, "platform.", "os")?.to_owned(),
            architecture: required(object, "platform.", "architecture")?.to_owned(),
            variant: optional(object, "platform.", "variant")?,
            os_version: optional(object, "platform.", "os.version")?,
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Limit of each part in characters: more than real platforms have, few enough for
        /// a table.
        const MAX_PART_LEN: usize = 32;
        let show = |part: &str, f: &mut fmt::Formatter<'_>| {
            let end = part.char_indices().nth(MAX_PART_LEN).map(|(at, _)| at);
            escape::Escaped(&part[..end.unwrap_or(part.len())]).fmt(f)?;
            f.write_str(if end.is_some() { "…" } else { "" })
        };
        show(&self.os, f)?;
        f.write_str("/")?;
        show(&self.architecture, f)?;
        match self.variant.as_deref() {
            // Go programs may write "" for an absent variant.
            None | Some("") => Ok(()),
            Some(variant) => {
                f.write_str("/")?;
                show(variant, f)
            }
        }
    }
}

impl From<Ambiguity> for DescriptorError {
    fn from(ambiguity: Ambiguity) -> Self {
        match ambiguity {
            Ambiguity::Duplicate(key) => Self::DuplicateKey { key },
            Ambiguity::Spelling(key) => Self::AmbiguousKey { key },
        }
    }
}

fn missing(prefix: &str, key: &str) -> DescriptorError {
    let key = format!("{prefix}{key}");
    DescriptorError::Missing { key }
}

fn wrong_type(prefix: &str, key: &str, expected: &str) -> DescriptorError {
    let (key, expected) = (format!("{prefix}{key}"), expected.to_owned());
    DescriptorError::Type { expected, key }
}

/// Reads a string; `prefix` precedes the key in errors.
fn required<'o>(
    object: &'o Object<'_>,
    prefix: &str,
    key: &str,
) -> Result<&'o str, DescriptorError> {
    match object.get(key) {
        None => Err(missing(prefix, key)),
        Some(Node::Text(text)) => Ok(text),
        Some(_) => Err(wrong_type(prefix, key, "a string")),
    }
}

/// Reads a string that may be absent or null, which Go doesn't distinguish.
fn optional(
    object: &Object<'_>,
    prefix: &str,
    key: &str,
) -> Result<Option<String>, DescriptorError> {
    match object.get(key) {
        None | Some(Node::Null) => Ok(None),
        Some(_) => required(object, prefix, key).map(|text| Some(text.to_owned())),
    }
}

/// Checks a digest against the grammar of descriptor.md, section "Digests":
///
/// ```text
/// digest                ::= algorithm ":" encoded
/// algorithm             ::= algorithm-component (algorithm-separator algorithm-component)*
/// algorithm-component   ::= [a-z0-9]+
/// algorithm-separator   ::= [+._-]
/// encoded               ::= [a-zA-Z0-9=_-]+
/// ```
///
/// "Implementations SHOULD allow digests with unrecognized algorithms to pass
/// validation if they comply with the above grammar."
fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return false;
    };
    // "When the algorithm identifier is `sha256`, the encoded portion MUST
    // match /[a-f0-9]{64}/", and for `sha512` /[a-f0-9]{128}/.
    match algorithm {
        "sha256" => is_hex(encoded, 64),
        "sha512" => is_hex(encoded, 128),
        _ => {
            let component = |part: &str| {
                !part.is_empty() && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z'))
            };
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-');
            algorithm.split(['+', '.', '_', '-']).all(component)
                && !encoded.is_empty()
                && encoded.bytes().all(plain)
        }
    }
}
