//! Image names, in the grammar of distribution's references.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::is_hex;

/// The name of an image: `[DOMAIN[:PORT]/]PATH[:TAG]`, without a digest.
///
/// ```text
/// domain  [a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])? joined by "."
/// path    [a-z0-9]+(([._]|__|-+)[a-z0-9]+)*      joined by "/"
/// tag     [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
/// ```
///
/// As in skopeo, the part before the first `/` is a domain if it contains a `.` or a `:`,
/// or is `localhost`. skopeo accepts every name that is accepted here, and interprets it
/// in the same way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ImageName(String);

/// Limit of domain and path together in characters, after skopeo has completed them
/// (distribution-spec: "Many clients impose a limit of 255 characters").
pub const MAX_NAME_LEN: usize = 255;

/// Why a text is not an image name.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("image name is empty")]
    Empty,
    /// The name contains an `@`, which precedes a digest.
    #[error("image name contains \"@\": remove the digest from the name")]
    Digest,
    /// The domain is outside the grammar.
    #[error(
        "invalid registry in the image name: expected HOST[:PORT] of letters, digits, \"-\" and \".\""
    )]
    Domain,
    /// The registry is an IPv6 address, which skopeo doesn't accept.
    #[error(
        "the registry in the image name is an IPv6 address: skopeo accepts host names and IPv4"
    )]
    Ipv6,
    /// The path has an upper-case letter.
    #[error(
        "image name has upper-case letters: a repository must be lower case, and a registry is \
         recognized by \".\" or \":PORT\""
    )]
    UpperCase,
    /// The path is outside the grammar.
    #[error(
        "invalid path in the image name: expected lower-case letters and digits, separated by \
         \".\", \"_\", \"__\", \"-\" or \"/\""
    )]
    Path,
    /// The tag is outside the grammar.
    #[error(
        "invalid tag in the image name: expected 1 to 128 letters, digits, \"_\", \".\" and \"-\", \
         not starting with \".\" or \"-\""
    )]
    Tag,
    /// The name is 64 hexadecimal digits, which skopeo reads as an image ID.
    #[error("image name is an image ID (64 hexadecimal digits): use the name of the image")]
    ImageId,
    /// The completed name has this many characters, more than [`MAX_NAME_LEN`].
    #[error("image name has {0} characters including its registry, the limit is {MAX_NAME_LEN}")]
    TooLong(usize),
}

/// The domain of names without one.
pub(crate) const DEFAULT_DOMAIN: &str = "docker.io";

impl ImageName {
    /// Domain and path, as in the input.
    #[must_use]
    pub fn without_tag(&self) -> &str {
        let end = self.tag().map_or(0, |tag| ":".len() + tag.len());
        &self.0[..self.0.len() - end]
    }

    /// The tag, without its colon.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        let (_, rest) = split_domain(&self.0);
        split_at_colon(rest).1
    }

    /// Domain, path and tag, as in the input.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Domain and path, as skopeo completes them: `docker.io` and `library/x` for `x`.
    pub(crate) fn completed(&self) -> (&str, String) {
        let (domain, path) = split_domain(self.without_tag());
        let domain = match domain {
            None | Some("index.docker.io") => DEFAULT_DOMAIN,
            Some(other) => other,
        };
        let is_official = domain == DEFAULT_DOMAIN && !path.contains('/');
        let folder = if is_official { "library/" } else { "" };
        (domain, format!("{folder}{path}"))
    }
}

impl TryFrom<String> for ImageName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.contains('@') {
            return Err(NameError::Digest);
        }
        let (domain, rest) = split_domain(&text);
        let (path, tag) = split_at_colon(rest);
        if domain.is_some_and(|domain| domain.starts_with('[') || domain.contains("::")) {
            return Err(NameError::Ipv6);
        }
        if !domain.is_none_or(is_domain) {
            return Err(NameError::Domain);
        }
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(NameError::UpperCase);
        }
        if !path.split('/').all(is_component) {
            return Err(NameError::Path);
        }
        if !tag.is_none_or(is_tag) {
            return Err(NameError::Tag);
        }
        if domain.is_none() && is_hex(path, 64) {
            return Err(NameError::ImageId);
        }
        let name = Self(text);
        let (domain, path) = name.completed();
        let length = domain.len() + "/".len() + path.len();
        if length > MAX_NAME_LEN {
            return Err(NameError::TooLong(length));
        }
        Ok(name)
    }
}

/// Splits a text at its first colon, which precedes a tag or a port.
fn split_at_colon(text: &str) -> (&str, Option<&str>) {
    let split = text.split_once(':');
    split.map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Splits off the domain, if the name has one.
fn split_domain(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

/// Whether a text is `HOST[:PORT]`, a host name or an IPv4 address.
pub(crate) fn is_domain(text: &str) -> bool {
    let (host, port) = split_at_colon(text);
    let label = |label: &str| {
        label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && label.starts_with(|c: char| c.is_ascii_alphanumeric())
            && label.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let number =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    host.split('.').all(label) && port.is_none_or(number)
}

fn is_component(text: &str) -> bool {
    let letter = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9');
    let bytes = text.as_bytes();
    let separator = |run: &[u8]| match run {
        [b'.' | b'_'] | b"__" => true,
        _ => run.iter().all(|b| *b == b'-'),
    };
    bytes.first().is_some_and(letter)
        && bytes.last().is_some_and(letter)
        && bytes.split(letter).all(separator)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
        && !text.starts_with(['.', '-'])
}

impl FromStr for ImageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
