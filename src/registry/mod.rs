//! A registry client beside skopeo: manifests by digest over kept connections.
//!
//! ```text
//! Request ─▶ Gate ─▶ Permit ─▶ RegistryClient ─▶ bytes, or an EffectError
//!             └─ GateRefusal: only skopeo does what the host's configuration says
//! ```
//!
//! The [`Gate`] lets the client fetch only where it certainly does what skopeo would. A
//! [`Permit`] is its word; without one, no connection is made. What the client brings is a
//! claim like any other: the core hashes the bytes.

mod authorize;
mod certificates;
mod client;
mod config_files;
mod gate;
mod host;
mod http;
mod manifest_request;
mod refusal;
mod resolver;
mod slots;
mod socket;
mod tls;
mod tokens;
mod transport;

use std::sync::OnceLock;

use host::first_schemes;
use skopeo_index_core::request::Request;

pub use certificates::{ClientPair, DomainCertificates, system_roots};
pub use client::{Fetched, RegistryClient};
pub use gate::{Gate, GateInputs, Permit, Redirects, SkopeoProgram, TlsMode};
pub use refusal::GateRefusal;

/// Fetches manifests without skopeo. Tests replace it.
pub trait ManifestClient: Send + Sync {
    /// Fetches the manifest of a request.
    ///
    /// # Errors
    /// Where only skopeo does what the host's configuration says.
    fn fetch(&self, request: &Request) -> Result<Fetched, GateRefusal>;
}

/// The gate, which reads the host's configuration when it is first asked, and the client.
pub struct Registry<'a> {
    inputs: &'a GateInputs<'a>,
    gate: OnceLock<Gate>,
    client: RegistryClient,
}

impl<'a> Registry<'a> {
    /// A client behind a gate.
    #[must_use]
    pub const fn new(inputs: &'a GateInputs<'a>, client: RegistryClient) -> Self {
        Self {
            inputs,
            gate: OnceLock::new(),
            client,
        }
    }

    /// The URL that would be requested first.
    ///
    /// # Errors
    /// Why the client may not fetch the request.
    pub fn first_url(&self, request: &Request) -> Result<String, GateRefusal> {
        let permit = self.check(request)?;
        let (repository, schemes) = (permit.repository(), first_schemes(&permit));
        let scheme = schemes.first().map_or("https", |scheme| scheme.as_str());
        let path = repository.manifest_path(request.digest());
        Ok(format!("{scheme}://{}{path}", repository.host()))
    }

    fn check(&self, request: &Request) -> Result<Permit, GateRefusal> {
        let gate = self.gate.get_or_init(|| Gate::new(self.inputs));
        gate.check(request)
    }
}

impl ManifestClient for Registry<'_> {
    fn fetch(&self, request: &Request) -> Result<Fetched, GateRefusal> {
        let permit = self.check(request)?;
        Ok(self.client.fetch(&permit, request.digest()))
    }
}
