//! Independent readers that the parsers are compared with.

pub mod index;
pub mod json;
