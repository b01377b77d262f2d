//! skopeo: its commands as types, who runs them, what their failures mean.
//!
//! ```text
//! Command ──argv──▶ CommandRunner ──▶ Ran { exit, stdout, stderr } ──▶ bytes, or failure::explain
//! ```

mod command;
pub mod failure;
mod identity;
mod outputs;
mod process;
mod runner;
mod storage;

pub use command::{Command, Debug, Options};
pub use identity::{Identity, identify};
pub use outputs::STAGING_MAX;
pub use process::Process;
pub use runner::{CommandRunner, Exit, Limits, Ran, RunError};
pub use storage::storage_is_there;
