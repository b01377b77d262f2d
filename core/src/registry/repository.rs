//! Repositories, as the registry protocol and the host's configuration name them.

use std::fmt;

use super::url::Url;
use crate::digest::Digest;
use crate::request::{DEFAULT_DOMAIN, ImageName};

/// Media types of the header `Accept`, in the order in which skopeo sends them. A registry
/// may convert a manifest to the first type that it has.
pub const ACCEPT: [&str; 6] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];

/// Where the API of `docker.io` is.
const DOCKER_HOST: &str = "registry-1.docker.io";

/// A repository of a registry: an image name without its tag, completed as skopeo does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    full_name: String,
    /// Length of the domain in bytes.
    domain: usize,
}

impl Repository {
    /// The repository that an image name is in.
    #[must_use]
    pub fn of(name: &ImageName) -> Self {
        let (domain, path) = name.completed();
        Self {
            full_name: format!("{domain}/{path}"),
            domain: domain.len(),
        }
    }

    /// The repository at a host; `None` where no image name has this host and path.
    #[must_use]
    pub fn at(host: &str, path: &str) -> Option<Self> {
        let name: ImageName = format!("{host}/{path}").parse().ok()?;
        let repository = Self::of(&name);
        let is_same = (repository.domain(), repository.path()) == (host, path);
        (is_same && name.tag().is_none()).then_some(repository)
    }

    /// The repository in the URL of a manifest, the inverse of [`Repository::manifest_path`].
    #[must_use]
    pub fn of_manifest(url: &Url, digest: Digest) -> Option<Self> {
        let path = url.target().strip_prefix("/v2/")?;
        let path = path.strip_suffix(&format!("/manifests/{digest}"))?;
        Self::at(url.authority(), path)
    }

    /// `HOST[:PORT]` as in the user's configuration: `docker.io`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.full_name[..self.domain]
    }

    /// `HOST[:PORT]` to connect to: `registry-1.docker.io` for `docker.io`.
    #[must_use]
    pub fn host(&self) -> &str {
        match self.domain() {
            DEFAULT_DOMAIN => DOCKER_HOST,
            other => other,
        }
    }

    /// The path, as in `/v2/PATH/`: `library/busybox`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.full_name[self.domain + 1..]
    }

    /// Domain and path: `docker.io/library/busybox`.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// The request target of a manifest (OCI distribution-spec, "Pulling manifests").
    #[must_use]
    pub fn manifest_path(&self, digest: Digest) -> String {
        format!("/v2/{}/manifests/{digest}", self.path())
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.full_name)
    }
}
