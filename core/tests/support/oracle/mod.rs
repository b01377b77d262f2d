//! Independent parsers to compare the core with.

pub mod index;
pub mod json;
