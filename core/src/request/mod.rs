//! Requests: image names, locations and digests, strictly parsed.
//!
//! Each value can be used in arguments of skopeo, in paths and in log lines without
//! quoting.

mod item;
mod location;
mod name;
mod reference;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::escape;

pub(crate) use item::MAX_SHOWN_KEY;
pub use item::{ItemError, Items, MAX_ITEMS};
pub use location::{MAX_STORAGE_LOCATION_LEN, StorageLocation, StorageLocationError};
pub(crate) use name::{DEFAULT_DOMAIN, is_domain};
pub use name::{ImageName, MAX_NAME_LEN, NameError};
pub use reference::{Reference, ReferenceError};

/// Whether skopeo requires HTTPS and verifies the registry's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsVerify {
    /// Decided by registries.conf: skopeo is run without `--tls-verify`.
    #[default]
    Unset,
    /// An item's `"tls-verify": true`: decided by registries.conf as well, but
    /// [`Request::with_default_tls_verify`] can't change it to `Never`.
    ItemTrue,
    /// Required: `--tls-verify=true` overrides registries.conf.
    Always,
    /// Not required: `--tls-verify=false` allows plain HTTP and any certificate.
    Never,
}

/// The supported transports of skopeo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// `docker`: a registry.
    #[default]
    Docker,
    /// `containers-storage`: a container storage of this machine.
    ContainersStorage,
}

/// A text is not a supported transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown transport {}: expected \"docker\" or \"containers-storage\"", escape::quote(.0))]
pub struct TransportError(String);

/// Where an image is: in a registry, or in a container storage of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Location {
    /// A registry, which the image name contains.
    Docker {
        /// Whether TLS is required.
        tls_verify: TlsVerify,
    },
    /// A container storage of this machine.
    ContainersStorage {
        /// The storage's directories; `None` are those of storage.conf.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<StorageLocation>,
    },
}

/// An image name, its location and the digest to fetch. Shown as `NAME@DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    digest: Digest,
    location: Location,
    name: ImageName,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 2] = [Self::Docker, Self::ContainersStorage];

    /// The name of the transport in skopeo and osbuild.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::ContainersStorage => "containers-storage",
        }
    }
}

impl Location {
    /// Prefixes `image` (`NAME[:TAG][@DIGEST]`) with transport and location.
    fn with_transport(&self, image: &str) -> String {
        match self {
            Self::Docker { .. } => format!("docker://{image}"),
            Self::ContainersStorage { location: None } => format!("containers-storage:{image}"),
            Self::ContainersStorage {
                location: Some(dir),
            } => {
                format!("containers-storage:[overlay@{dir}]{image}")
            }
        }
    }

    /// A name without a digest as a user types it: with the transport, unless that is the
    /// default.
    #[must_use]
    pub fn reference(&self, name: &ImageName) -> String {
        match self {
            Self::Docker { .. } => name.to_string(),
            Self::ContainersStorage { .. } => self.skopeo_source(name),
        }
    }

    /// skopeo's SOURCE argument for a name without a digest: `docker://NAME:TAG`.
    #[must_use]
    pub fn skopeo_source(&self, name: &ImageName) -> String {
        self.with_transport(name.as_str())
    }
}

impl Request {
    /// Combines name, location and digest, which are valid on their own.
    #[must_use]
    pub const fn new(name: ImageName, location: Location, digest: Digest) -> Self {
        Self {
            name,
            location,
            digest,
        }
    }

    /// The image name, without the digest.
    #[must_use]
    pub const fn name(&self) -> &ImageName {
        &self.name
    }

    /// The location of the image.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// The digest of the requested index.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Applies an option for TLS to a request that doesn't set it. [`TlsVerify::ItemTrue`]
    /// can be raised to `Always`, but not lowered to `Never`.
    #[must_use]
    pub fn with_default_tls_verify(mut self, option: TlsVerify) -> Self {
        if let Location::Docker { tls_verify } = &mut self.location {
            *tls_verify = match (*tls_verify, option) {
                (TlsVerify::Unset, option) => option,
                (TlsVerify::ItemTrue, TlsVerify::Always) => TlsVerify::Always,
                (set, _) => set,
            };
        }
        self
    }

    /// skopeo's SOURCE argument: `docker://NAME@DIGEST` without the tag, because skopeo
    /// rejects tag and digest together there, or
    /// `containers-storage:[overlay@LOCATION]NAME:TAG@DIGEST`.
    #[must_use]
    pub fn skopeo_source(&self) -> String {
        let name = match self.location {
            Location::Docker { .. } => self.name.without_tag(),
            Location::ContainersStorage { .. } => self.name.as_str(),
        };
        let image = format!("{name}@{}", self.digest);
        self.location.with_transport(&image)
    }

    /// The tag that [`Request::skopeo_source`] leaves out.
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
        let known = Self::ALL
            .into_iter()
            .find(|transport| transport.as_str() == text);
        known.ok_or_else(|| TransportError(escape::truncate(text, MAX_SHOWN_KEY)))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
