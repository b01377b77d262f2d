//! skopeo's commands as types, and what its messages say: the kind of a failure, and who
//! answered.

mod answer;
mod classify;
mod command;
pub mod stderr;

pub use answer::RegistryAnswer;
pub use command::{
    CommandForm, CommandOutput, Exit, MAX_COMMAND_TIMEOUT, ParsedArgv, SkopeoCommand, SkopeoDebug,
    SkopeoOptions, method_commands,
};
