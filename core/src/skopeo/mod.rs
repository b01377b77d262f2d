//! skopeo's commands as types, and the classification of its failures.

mod classify;
mod command;
pub mod stderr;

pub use command::{
    CommandOutput, Exit, SkopeoCommand, SkopeoDebug, SkopeoOptions, method_commands,
};
