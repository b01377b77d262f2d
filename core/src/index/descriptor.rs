//! The descriptors in an index, and their platforms.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::json::{DESCRIPTOR_KEYS, Node, Object, PLATFORM_KEYS, specified_key};
use crate::digest::is_hex;
use crate::escape;

/// One entry of an index: media type, digest, size and platform of a manifest (OCI
/// image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    media_type: Box<str>,
    digest: Box<str>,
    size: u64,
    platform: Option<Box<Platform>>,
    artifact_type: Option<Box<str>>,
}

/// The platform that an image runs on (OCI image-spec, image-index.md), shown as
/// `linux/arm64/v8`, escaped and truncated, with `unknown` for what the index does not say.
/// Empty strings are absent, as Go programs write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    os: Option<Box<str>>,
    architecture: Option<Box<str>>,
    variant: Option<Box<str>>,
    os_version: Option<Box<str>>,
}

/// The first rule that a descriptor breaks. Keys of the platform are written `platform.os`.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
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
    /// An object has one key twice.
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
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_deref()
    }

    /// The type of an artifact other than an image, like a signature.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref()
    }

    /// Reads one entry of `manifests`.
    pub(super) fn read(
        node: &Node<'_>,
        duplicate: Option<String>,
    ) -> Result<Self, DescriptorError> {
        let Node::Object(object) = node else {
            return Err(DescriptorError::NotAnObject);
        };
        if let Some(key) = duplicate {
            return Err(DescriptorError::DuplicateKey { key });
        }
        reject_respelt(object, DESCRIPTOR_KEYS)?;

        // descriptor.md, mediaType: "This REQUIRED property contains the media
        // type of the referenced content."
        let media_type = required(object, "mediaType")?;
        if media_type.is_empty() {
            return Err(DescriptorError::EmptyMediaType);
        }
        // descriptor.md, digest: "This REQUIRED property is the _digest_ of the
        // targeted content, conforming to the requirements outlined in Digests."
        let digest = required(object, "digest")?;
        if !is_digest(&digest) {
            let found = escape::truncate_message(&digest);
            return Err(DescriptorError::InvalidDigest { found });
        }
        // descriptor.md, size: "This REQUIRED property specifies the size, in
        // bytes, of the raw content. […] The size MUST NOT be negative." It is an
        // int64.
        let size = match object.get("size") {
            None => return Err(missing("size")),
            Some(Node::Number(size)) => size.parse().ok(),
            Some(_) => None,
        };
        let size = size.filter(|size| i64::try_from(*size).is_ok());
        Ok(Self {
            media_type,
            digest,
            size: size.ok_or_else(|| wrong_type("size", "an integer from 0 to 2^63 - 1"))?,
            platform: match object.get("platform") {
                None => None,
                Some(Node::Object(platform)) => Some(Box::new(Platform::read(platform)?)),
                Some(_) => return Err(wrong_type("platform", "an object")),
            },
            artifact_type: optional(object, "", "artifactType")?,
        })
    }
}

impl Platform {
    /// The operating system, like `linux`.
    #[must_use]
    pub fn os(&self) -> Option<&str> {
        self.os.as_deref()
    }

    /// The CPU architecture, like `arm64`.
    #[must_use]
    pub fn architecture(&self) -> Option<&str> {
        self.architecture.as_deref()
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
        reject_respelt(object, PLATFORM_KEYS)?;
        let part = |key| {
            let part = optional(object, "platform.", key)?;
            Ok(part.filter(|part| !part.is_empty()))
        };
        // image-index.md, platform: architecture and os are each a "REQUIRED
        // property". Go programs leave them empty for an unknown platform.
        Ok(Self {
            os: part("os")?,
            architecture: part("architecture")?,
            variant: part("variant")?,
            os_version: part("os.version")?,
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
        show(self.os().unwrap_or("unknown"), f)?;
        f.write_str("/")?;
        show(self.architecture().unwrap_or("unknown"), f)?;
        self.variant().map_or(Ok(()), |variant| {
            f.write_str("/")?;
            show(variant, f)
        })
    }
}

fn missing(key: &str) -> DescriptorError {
    let key = key.to_owned();
    DescriptorError::Missing { key }
}

fn wrong_type(key: &str, expected: &str) -> DescriptorError {
    let (key, expected) = (key.to_owned(), expected.to_owned());
    DescriptorError::Type { expected, key }
}

fn reject_respelt(object: &Object<'_>, names: &[&str]) -> Result<(), DescriptorError> {
    let respelt = object.find_respelt(names);
    respelt.map_or(Ok(()), |key| Err(DescriptorError::AmbiguousKey { key }))
}

/// Reads a string.
fn required(object: &Object<'_>, key: &str) -> Result<Box<str>, DescriptorError> {
    optional(object, "", key)?.ok_or_else(|| missing(key))
}

/// Reads a string that may be absent or null; `prefix` precedes the key in errors.
fn optional(
    object: &Object<'_>,
    prefix: &str,
    key: &str,
) -> Result<Option<Box<str>>, DescriptorError> {
    let read = |node: &Node<'_>| {
        let text = node.text();
        text.map(Box::from)
            .ok_or_else(|| wrong_type(&format!("{prefix}{key}"), "a Unicode string"))
    };
    object.get(key).map(read).transpose()
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
