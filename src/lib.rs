//! Fetches container image indexes by digest, and proves what lands on disk.

pub mod digest;
pub mod index;
pub mod request;
pub mod text;
