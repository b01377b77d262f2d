//! Digests: `sha256:` and 64 lower-case hexadecimal digits.
//!
//! The OCI image-spec (descriptor.md, "Digests") allows other algorithms; the cache does
//! not, so that every object has exactly one name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A SHA-256 digest, shown as `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The algorithm and its separator.
const PREFIX: &str = "sha256:";

impl Digest {
    /// Length of the text form in bytes.
    pub const TEXT_LEN: usize = PREFIX.len() + 64;

    /// Computes the SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Wraps the 32 bytes of a SHA-256.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the SHA-256.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses the 64 hexadecimal digits alone.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let (mut bytes, mut any) = ([0; 32], 0);
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            any |= nibble(*high) | nibble(*low);
            *byte = nibble(*high) << 4 | nibble(*low);
        }
        if any < 16 && pairs.len() == 32 && rest.is_empty() {
            return Ok(Self(bytes));
        }
        let invalid = hex.bytes().position(|digit| nibble(digit) > 15);
        Err(invalid.map_or(DigestError::Length(hex.len()), |at| {
            DigestError::Character(PREFIX.len() + at)
        }))
    }

    /// The 64 hexadecimal digits, without the prefix `sha256:`.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// Encodes bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Whether a text is `len` lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|digit| nibble(digit) < 16)
}

/// The value of a lower-case hexadecimal digit; 16 for any other byte.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 16,
    }
}

/// Why a text is not a digest.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text does not start with `sha256:`.
    #[error("invalid digest: expected \"sha256:\" and 64 hex digits")]
    Algorithm,
    /// The number of hexadecimal digits is this, not 64.
    #[error("invalid digest: expected 64 hex digits after \"sha256:\", got {0}")]
    Length(usize),
    /// The byte at this offset of the text is not one of `0-9` and `a-f`.
    #[error("invalid digest: unexpected character at position {}, expected 0-9 or a-f", .0 + 1)]
    Character(usize),
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::from_hex(text.strip_prefix(PREFIX).ok_or(DigestError::Algorithm)?)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
