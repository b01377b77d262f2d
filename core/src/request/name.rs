//! Image names, by the grammar of distribution references.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of an image: `[DOMAIN[:PORT]/]PATH[:TAG]`, without a digest.
///
/// ```text
/// domain  [a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])? joined by "."
/// path    [a-z0-9]+(([._]|__|-+)[a-z0-9]+)*      joined by "/"
/// tag     [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
/// ```
///
/// As in skopeo, what stands before the first `/` is a domain if it has a `.`
/// or a `:` in it or is `localhost`. Whatever is accepted here is accepted by
/// skopeo, and means the same there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName {
    text: String,
    /// Where the path ends in it.
    end: usize,
}

/// The most characters of domain and path together, as skopeo completes them
/// (distribution-spec: "Many clients impose a limit of 255 characters").
pub const MAX_NAME_LEN: usize = 255;

/// Why a text is not the name of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is there.
    #[error("the image name is empty")]
    Empty,
    /// The digest is part of the name.
    #[error("the image name has a digest or an \"@\" in it: give the digest apart")]
    Digest,
    /// The domain is outside the grammar.
    #[error(
        "the image name's registry is not DOMAIN[:PORT] (letters, digits, \"-\" within, joined by \".\")"
    )]
    Domain,
    /// The path has an upper-case letter.
    #[error(
        "the image name has upper-case letters: only a registry (with \".\" or \":PORT\") and a tag may"
    )]
    UpperCase,
    /// The path is outside the grammar.
    #[error(
        "the image name's path is not made of lower-case letters and digits, \
         joined by \".\", \"_\", \"__\", \"-\" and \"/\""
    )]
    Path,
    /// The tag is outside the grammar.
    #[error(
        "the image name's tag is not made of 1 to 128 letters, digits, \"_\", \".\" and \"-\", \
         the first a letter, a digit or \"_\""
    )]
    Tag,
    /// 64 hexadecimal digits, which readers take for an image's id.
    #[error("the image name is 64 hexadecimal digits, which is an image's id, not its name")]
    ImageId,
    /// Longer than a name may be.
    #[error("the image name has {0} characters with its registry, more than {MAX_NAME_LEN}")]
    TooLong(usize),
}

/// Where images without a domain come from.
const DEFAULT_DOMAIN: &str = "docker.io";

impl ImageName {
    /// Domain and path, as they were written.
    #[must_use]
    pub fn without_tag(&self) -> &str {
        &self.text[..self.end]
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.text.get(self.end + 1..)
    }

    /// Domain, path and tag, as they were written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn read(text: String) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.contains('@') {
            return Err(NameError::Digest);
        }
        let (domain, rest) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (Some(first), rest)
            }
            _ => (None, text.as_str()),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
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
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if domain.is_none() && path.len() == 64 && path.bytes().all(hex) {
            return Err(NameError::ImageId);
        }
        let length = completed_length(domain, path);
        if length > MAX_NAME_LEN {
            return Err(NameError::TooLong(length));
        }
        let end = text.len() - tag.map_or(0, |tag| tag.len() + 1);
        Ok(Self { text, end })
    }
}

/// The length of a name as skopeo completes it: `docker.io/library/NAME`.
fn completed_length(domain: Option<&str>, path: &str) -> usize {
    let domain = match domain {
        None | Some("index.docker.io") => DEFAULT_DOMAIN,
        Some(other) => other,
    };
    let official = domain == DEFAULT_DOMAIN && !path.contains('/');
    domain.len() + 1 + if official { "library/".len() } else { 0 } + path.len()
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
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
    let joined = |run: &[u8]| match run {
        [b'.' | b'_'] | b"__" => true,
        _ => run.iter().all(|b| *b == b'-'),
    };
    bytes.first().is_some_and(letter)
        && bytes.last().is_some_and(letter)
        && bytes.split(letter).all(joined)
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
        Self::read(text.to_owned())
    }
}

impl TryFrom<String> for ImageName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::read(text)
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.text
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}
