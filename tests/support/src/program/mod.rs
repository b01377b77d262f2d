//! Fakes and harness of the program.

pub mod fakes;
pub mod harness;
pub mod host;
