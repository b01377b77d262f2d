//! Fetches container image indexes by digest, and proves what lands on disk.

pub mod audit;
pub mod cancel;
pub mod cli;
mod coalesce;
pub mod digest;
pub mod executor;
pub mod index;
pub mod machine;
pub mod osbuild;
pub mod perform;
pub mod request;
pub mod skopeo;
pub mod store;
mod sys;
pub mod text;

/// What threads share. `tests/loom` puts loom's in place of it.
mod sync {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
}
