//! skopeo: its commands as types, and what its messages mean. Nothing is run here.

mod command;
pub mod stderr;

pub use command::{
    CommandOutput, Exit, SkopeoCommand, SkopeoDebug, SkopeoOptions, method_commands,
};
