//! The osbuild source: a service that a host starts and calls over a socket.
//!
//! ```text
//!  host ──call──▶ Channel ─▶ Call ─▶ Service ─▶ Session
//!  host ◀─reply── Channel ◀─ ItemResults ◀──────┘
//! ```
//!
//! One JSON object per packet of a connected `SOCK_SEQPACKET` pair; several calls may use
//! one connection; when the host closes it, the service ends. stdout is the host's
//! progress display.

mod reply;
mod service;
mod socket;

pub use reply::ReplyFormat;
pub use service::Service;
pub use socket::{Channel, ChannelError, Message};
