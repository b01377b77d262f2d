//! skopeo's commands as types, and the classification of its failures.

mod classify;
mod command;
pub mod stderr;

pub use command::{
    CommandForm, CommandOutput, Exit, ParsedArgv, SkopeoCommand, SkopeoDebug, SkopeoOptions,
    method_commands,
};
