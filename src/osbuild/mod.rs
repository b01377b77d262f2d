//! The osbuild source: a service that a host starts and calls over a socket.
//!
//! ```text
//!  host ──{"type": "method", "data": {"name": "download", "args": {…}}}──▶ Channel ─▶ protocol ─▶ Service
//!  host ◀─{"type": "reply", "data": {"reply": {…}}}──────────────────────── Channel ◀─ protocol ◀─┘ Executor
//! ```
//!
//! One JSON object a packet of a connected `SOCK_SEQPACKET` pair; several calls
//! may come over one connection; the peer's close ends the service. stdout is
//! the host's progress display.

mod channel;
mod era;
mod items;
mod protocol;
mod service;

pub use channel::{Channel, ChannelError, Message};
pub use era::{Era, Reply};
pub use protocol::{Call, Copy, Download, ProtocolError};
pub use service::Service;

/// The name of the source.
pub const SOURCE: &str = "org.osbuild.skopeo-index";

/// The directory of a cache that all sources share which keep plain files.
pub const FILES: &str = "org.osbuild.files";
