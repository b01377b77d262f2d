//! A registry client beside skopeo: manifests by digest over kept connections.
//!
//! ```text
//! Request ─▶ Gate ─▶ Permit ─▶ ManifestRequest ─▶ bytes, or an EffectError
//!             └─ GateRefusal: only skopeo does what the host's configuration says
//! ```
//!
//! The [`Gate`] lets the client fetch only where it certainly does what skopeo would. A
//! [`Permit`] is its permission; without one, no connection is made. What the client brings
//! is a claim like any other: the core hashes the bytes.

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

use skopeo_index_core::request::Request;

pub use certificates::{ClientPair, DomainCertificates, system_roots};
pub use client::{Fetched, RegistryClient};
pub use gate::{Gate, GateInputs, Permit, Redirects, SkopeoProgram, TlsMode};
pub use host::NextRequest;
pub use refusal::GateRefusal;

/// Fetches manifests without skopeo. Tests replace it.
pub trait ManifestClient: Send + Sync {
    /// Fetches the manifest of a request.
    ///
    /// # Errors
    /// Where only skopeo does what the host's configuration says.
    fn fetch(&self, request: &Request) -> Result<Fetched, GateRefusal>;
}
