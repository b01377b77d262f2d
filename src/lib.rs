//! The program's parts, public for its own tests. The product for other programs is
//! [`skopeo_index_core`].

pub mod audit_log;
pub mod command;
pub mod dsse;
pub mod fetch;
pub mod os;
pub mod osbuild;
pub mod registry;
pub mod session;
pub mod signing;
pub mod skopeo;
pub mod store;
pub mod units;
pub mod verifier;

/// What threads share. `tests/loom` puts loom's in place of it.
mod sync {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
}
