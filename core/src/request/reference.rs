//! References, as users type them.

use std::fmt;
use std::str::FromStr;

use super::{ImageName, NameError, StorageLocation, StorageLocationError, Transport};
use crate::digest::{Digest, DigestError};

/// A parsed `[docker://]NAME[:TAG][@DIGEST]` or
/// `containers-storage:[[overlay@LOCATION]]NAME[:TAG][@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    transport: Option<Transport>,
    location: Option<StorageLocation>,
    name: ImageName,
    digest: Option<Digest>,
}

/// Why a text is not a reference.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The image name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The text after the `@` is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The storage location is invalid.
    #[error(transparent)]
    Location(#[from] StorageLocationError),
    /// The text begins with a transport or a URL's scheme that is not supported.
    #[error("unsupported transport \"{0}\"; expected docker:// or containers-storage:")]
    Transport(String),
    /// The text is a digest without an image name.
    #[error("a digest needs the name of its image: NAME@sha256:…")]
    NoName,
    /// The bracket is not closed, or not of the supported form.
    #[error("invalid bracket after \"containers-storage:\": expected [overlay@LOCATION]")]
    Bracket,
}

/// Transports of containers-transports(5) that may have no `/` behind them. Their case matters to
/// skopeo; in another one they are not supported either.
const OTHER_TRANSPORTS: &[&str] = &[
    "containers-storage:",
    "dir:",
    "docker-archive:",
    "docker-daemon:",
    "oci:",
    "oci-archive:",
    "ostree:",
    "sif:",
    "tarball:",
];

impl Reference {
    /// The transport, if the reference has one.
    #[must_use]
    pub const fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// The storage location, if the reference has one.
    #[must_use]
    pub const fn location(&self) -> Option<&StorageLocation> {
        self.location.as_ref()
    }

    /// The image name, without the digest.
    #[must_use]
    pub const fn name(&self) -> &ImageName {
        &self.name
    }

    /// The digest, if the reference has one.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (transport, rest) = if let Some(rest) = text.strip_prefix("docker://") {
            (Some(Transport::Docker), rest)
        } else if let Some(rest) = text.strip_prefix("containers-storage:") {
            (Some(Transport::ContainersStorage), rest)
        } else if let Some(other) = other_transport(text) {
            return Err(ReferenceError::Transport(other.to_owned()));
        } else {
            (None, text)
        };
        let (location, rest) = match rest.strip_prefix('[') {
            Some(rest) if transport == Some(Transport::ContainersStorage) => {
                let (inside, rest) = rest.split_once(']').ok_or(ReferenceError::Bracket)?;
                let location = inside
                    .strip_prefix("overlay@")
                    .ok_or(ReferenceError::Bracket)?;
                (Some(location.parse()?), rest)
            }
            _ => (None, rest),
        };
        if rest.starts_with("sha256:") {
            return Err(ReferenceError::NoName);
        }
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (rest, None),
        };
        Ok(Self {
            transport,
            location,
            name: name.parse()?,
            digest,
        })
    }
}

/// The transport or the URL's scheme that a text without a supported one begins with. No image
/// name has a word before `:/`.
fn other_transport(text: &str) -> Option<&str> {
    let known = OTHER_TRANSPORTS.iter().find_map(|known| {
        let start = text.get(..known.len());
        start.filter(|start| start.eq_ignore_ascii_case(known))
    });
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-'))
    };
    let other = || {
        let word = text.split_once(":/").map(|(word, _)| word);
        let end = word.filter(|word| is_word(word))?.len() + ":".len();
        let slashes = if text[end..].starts_with("//") { 2 } else { 0 };
        Some(&text[..end + slashes])
    };
    known.or_else(other)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            None => {}
            Some(Transport::Docker) => f.write_str("docker://")?,
            Some(Transport::ContainersStorage) => f.write_str("containers-storage:")?,
        }
        if let Some(location) = &self.location {
            write!(f, "[overlay@{location}]")?;
        }
        write!(f, "{}", self.name)?;
        self.digest
            .iter()
            .try_for_each(|digest| write!(f, "@{digest}"))
    }
}
