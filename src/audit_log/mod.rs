//! The audit log's file: written by fetches, read to verify it. Its format is
//! [`skopeo_index_core::audit`]'s.
//!
//! ```text
//!  Transition ─▶ Recorder ─▶ LogWriter ─▶ LOG: record\n record\n … half a rec
//!                                                                  └── torn line, by a crash,
//!                                                                      which stays
//!  LOG ─▶ read_lines, verify_logs, read_intact_log ─▶ ParsedLine, Finding
//! ```

mod checkpoint;
mod end;
mod error;
mod file;
mod invocation;
mod objects;
mod reader;
mod recorder;
mod recover;
mod rotate;
mod tiles;
mod writer;

pub use checkpoint::check_checkpoint_file;
pub use error::LogError;
pub use invocation::invocation;
pub use objects::check_objects;
pub use reader::{
    OpenRuns, ReadError, is_bad, read_intact_log, read_intact_logs, read_lines, sync_log,
    verify_logs,
};
pub use recorder::{Identify, Recorder, requires_sync};
pub use tiles::{TilesError, write_tiles};
pub use writer::LogWriter;
