//! One manifest of an index: its descriptor, and the platform it is for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::json::{Ambiguity, DuplicateKey, Node, Object};
use crate::escape;

/// Points to one manifest of an index (OCI image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    artifact_type: Option<String>,
}

/// What an image runs on (OCI image-spec, image-index.md).
///
/// It is shown as `linux/arm64/v8`, escaped and shortened: nobody vouches for
/// these texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
    os_version: Option<String>,
}

/// What is wrong with a descriptor. Keys are named as in `platform.os`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DescriptorError {
    /// A list's entry is something else.
    #[error("it is not an object")]
    NotAnObject,
    /// A required key isn't there.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A value of another type.
    #[error("{key} is not {expected}")]
    Type {
        /// The type that the specification requires.
        expected: String,
        /// The key.
        key: String,
    },
    /// A media type without a character.
    #[error("mediaType is empty")]
    EmptyMediaType,
    /// Outside the grammar of digests, or of the wrong length for its algorithm.
    #[error("digest {} is not of the form ALGORITHM:ENCODED", escape::quote(found))]
    InvalidDigest {
        /// What stands there.
        found: String,
    },
    /// Two keys that a reader may take for one.
    #[error("{} stands there twice", escape::quote(key))]
    DuplicateKey {
        /// One of the two.
        key: String,
    },
    /// A key that some readers take for a deciding one.
    #[error("{} is a deciding key in another spelling", escape::quote(key))]
    AmbiguousKey {
        /// The key as it is spelt.
        key: String,
    },
}

impl Descriptor {
    /// The media type of the manifest; any is legal.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The digest of the manifest, of any algorithm.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The size of the manifest in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The platform that the manifest is for.
    #[must_use]
    pub const fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// The type of an artifact that is no image.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref()
    }

    /// Reads one entry of `manifests`.
    pub(super) fn read(node: &Node<'_>, repeated: DuplicateKey) -> Result<Self, DescriptorError> {
        let Node::Object(object) = node else {
            return Err(DescriptorError::NotAnObject);
        };
        if let Some(key) = repeated {
            return Err(Ambiguity::Duplicate(key).into());
        }
        object.reject_ambiguous_keys(&[
            "mediaType",
            "digest",
            "size",
            "platform",
            "artifactType",
        ])?;

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
            size: size.ok_or_else(|| not("", "size", "an integer from 0 to 2^63 - 1"))?,
            platform: match object.get("platform") {
                None | Some(Node::Null) => None,
                Some(Node::Object(platform)) => Some(Platform::read(platform)?),
                Some(_) => return Err(not("", "platform", "an object")),
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

    /// The processor's architecture, like `arm64`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant of the processor, like `v8`.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// The version of the operating system (Windows).
    #[must_use]
    pub fn os_version(&self) -> Option<&str> {
        self.os_version.as_deref()
    }

    fn read(object: &Object<'_>) -> Result<Self, DescriptorError> {
        object.reject_ambiguous_keys(&["os", "architecture", "variant", "os.version"])?;
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
        /// Longer than any platform's name, short enough for a table.
        const SHOWN: usize = 32;
        let show = |part: &str, f: &mut fmt::Formatter<'_>| {
            let end = part.char_indices().nth(SHOWN).map(|(at, _)| at);
            escape::Escaped(&part[..end.unwrap_or(part.len())]).fmt(f)?;
            f.write_str(if end.is_some() { "…" } else { "" })
        };
        show(&self.os, f)?;
        f.write_str("/")?;
        show(&self.architecture, f)?;
        // Go writes an absent variant as "".
        self.variant
            .iter()
            .filter(|v| !v.is_empty())
            .try_for_each(|variant| {
                f.write_str("/")?;
                show(variant, f)
            })
    }
}

impl From<Ambiguity> for DescriptorError {
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

fn missing(within: &str, key: &str) -> DescriptorError {
    let key = format!("{within}{key}");
    DescriptorError::Missing { key }
}

fn not(within: &str, key: &str, want: &str) -> DescriptorError {
    let (key, expected) = (format!("{within}{key}"), want.to_owned());
    DescriptorError::Type { expected, key }
}

fn required<'o>(
    object: &'o Object<'_>,
    within: &str,
    key: &str,
) -> Result<&'o str, DescriptorError> {
    match object.get(key) {
        None => Err(missing(within, key)),
        Some(Node::Text(text)) => Ok(text),
        Some(_) => Err(not(within, key, "a string")),
    }
}

/// A string that may be absent, or null, which Go reads as absent.
fn optional(
    object: &Object<'_>,
    within: &str,
    key: &str,
) -> Result<Option<String>, DescriptorError> {
    match object.get(key) {
        None | Some(Node::Null) => Ok(None),
        Some(_) => required(object, within, key).map(|text| Some(text.to_owned())),
    }
}

/// The grammar of descriptor.md, section "Digests":
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
    let hex = |digits| {
        encoded.len() == digits
            && encoded
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match algorithm {
        "sha256" => hex(64),
        "sha512" => hex(128),
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
