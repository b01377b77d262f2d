//! What to fetch: an image's name, where it is, and the digest of its index.
//!
//! Everything here is strictly parsed, so that it can go into an argument of
//! skopeo, a path or a log line and mean there what it means here.

mod item;
mod location;
mod name;
mod reference;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::escape;

pub use item::{ItemError, Items};
pub use location::{MAX_STORAGE_LOCATION_LEN, StorageLocationError, StorageLocation};
pub use name::{ImageName, MAX_NAME_LEN, NameError};
pub use reference::{Reference, ReferenceError};

/// Whether a registry has to prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsVerify {
    /// As registries.conf has it: skopeo gets no flag.
    #[default]
    Unset,
    /// Yes, unless registries.conf knows better: what an item's `true` says.
    /// skopeo gets no flag, and no option of ours switches it off.
    ItemTrue,
    /// Yes, whatever registries.conf says.
    Always,
    /// No: plain HTTP and any certificate will do.
    Never,
}

/// The ways of skopeo to an image that are taken here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A registry.
    #[default]
    Docker,
    /// The container storage of this machine.
    ContainersStorage,
}

/// A transport that isn't taken here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transport {} is neither \"docker\" nor \"containers-storage\"", escape::quote(.0))]
pub struct TransportError(String);

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Location {
    /// In a registry, which the image's name names.
    Docker {
        /// Whether it has to prove who it is.
        tls_verify: TlsVerify,
    },
    /// In a container storage of this machine.
    ContainersStorage {
        /// Where the storage lies, if not where storage.conf has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<StorageLocation>,
    },
}

/// An index to fetch. It is shown as `NAME@DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    digest: Digest,
    location: Location,
    name: ImageName,
}

impl Transport {
    /// The transport's name, as skopeo and osbuild write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::ContainersStorage => "containers-storage",
        }
    }
}

impl Location {
    /// The transport.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Docker { .. } => Transport::Docker,
            Self::ContainersStorage { .. } => Transport::ContainersStorage,
        }
    }

    /// What to tell skopeo, so that it finds `image` (`NAME[:TAG][@DIGEST]`).
    fn locate(&self, image: &str) -> String {
        match self {
            Self::Docker { .. } => format!("docker://{image}"),
            Self::ContainersStorage { location: None } => format!("containers-storage:{image}"),
            Self::ContainersStorage {
                location: Some(location),
            } => {
                format!("containers-storage:[overlay@{}]{image}", location.as_str())
            }
        }
    }

    /// What to tell skopeo, so that it finds what `name` is at the moment.
    #[must_use]
    pub fn skopeo_source(&self, name: &ImageName) -> String {
        self.locate(name.as_str())
    }
}

impl Request {
    /// Asks for the index of `digest`.
    #[must_use]
    pub const fn new(name: ImageName, location: Location, digest: Digest) -> Self {
        Self {
            name,
            location,
            digest,
        }
    }

    /// The image's name.
    #[must_use]
    pub const fn name(&self) -> &ImageName {
        &self.name
    }

    /// Where the image is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// The digest of the index.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The same, with what an option says on TLS where the request doesn't say
    /// it: [`TlsVerify::Never`] gives way to a request that expects it.
    #[must_use]
    pub fn with_default_tls_verify(mut self, option: TlsVerify) -> Self {
        if let Location::Docker { tls_verify } = &mut self.location {
            *tls_verify = match (*tls_verify, option) {
                (TlsVerify::Unset, option) => option,
                (TlsVerify::ItemTrue, TlsVerify::Always) => TlsVerify::Always,
                (said, _) => said,
            };
        }
        self
    }

    /// What to tell skopeo: `docker://NAME@DIGEST` without the tag, since no
    /// skopeo takes tag and digest together there, or
    /// `containers-storage:[overlay@LOCATION]NAME:TAG@DIGEST`.
    #[must_use]
    pub fn skopeo_source(&self) -> String {
        let name = match self.location {
            Location::Docker { .. } => self.name.without_tag(),
            Location::ContainersStorage { .. } => self.name.as_str(),
        };
        self.location.locate(&format!("{name}@{}", self.digest))
    }

    /// The tag that skopeo isn't told.
    #[must_use]
    pub fn dropped_tag(&self) -> Option<&str> {
        match self.location {
            Location::Docker { .. } => self.name.tag(),
            Location::ContainersStorage { .. } => None,
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

impl FromStr for Transport {
    type Err = TransportError;

    fn from_str(text: &str) -> Result<Self, TransportError> {
        let all = [Self::Docker, Self::ContainersStorage];
        let known = all.into_iter().find(|transport| transport.as_str() == text);
        known.ok_or_else(|| TransportError(escape::truncate_message(text)))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
