//! The registry client: fetches manifests in process where it does what skopeo would.
//!
//! ```text
//! Request ──Gate──▶ Permit ──▶ client ──▶ bytes
//!            │
//!            └────▶ GateRefusal: skopeo fetches
//! ```

mod certificates;
mod config_files;
mod gate;
mod refusal;

pub use certificates::{ClientPair, DomainCertificates, system_roots};
pub use gate::{Gate, GateInputs, Permit, Redirects, SkopeoProgram, TlsMode};
pub use refusal::GateRefusal;
