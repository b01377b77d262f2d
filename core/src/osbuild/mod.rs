//! osbuild's host-service protocol: messages parsed and built, without a socket.
//!
//! ```text
//!  host ──{"type": "method", "data": {"name": "download", "args": {…}}}──▶ Call ─▶ ItemBatch
//!  host ◀─{"type": "reply", "data": {"reply": {…}}}──────────────────────  ItemResults
//! ```

mod call;
mod items;
mod manifest;
mod pins;
mod reply;

pub use call::{Call, CopyCall, DownloadCall, ProtocolError};
pub use items::ItemBatch;
pub use manifest::parse_manifest;
pub use pins::{PinError, Pins};
pub use reply::{ItemResult, ItemResults, exception};

/// The name of this source in manifests, replies and the file system.
pub const SOURCE: &str = "org.osbuild.skopeo-index";

/// The directory of objects in a store's `sources` directory, shared with other sources.
pub const FILES: &str = "org.osbuild.files";
