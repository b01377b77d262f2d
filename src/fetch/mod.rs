//! Drives fetches: the executor runs many at once, the performer performs their effects.
//!
//! ```text
//!  requests ─▶ Executor ─▶ Fetch::wants ─▶ Performer ─▶ Outcome ─▶ Fetch::step ─▶ Observers ─▶ reports
//!                                          ├── Store: look up, quarantine, stage, publish
//!                                          └── ByteSource: registry client, skopeo, or another cache
//! ```

mod engine;
mod executor;
mod hits;
mod observer;
mod performer;
mod resolve;
mod source;

pub use engine::{Engine, EngineChoice, EngineUse};
pub use executor::Executor;
pub use observer::{FetchId, FetchReport, FetchTransition, Observer, Transition, Veto};
pub use performer::{Performer, Trace};
pub use resolve::{RetryPolicy, backoff, fetch_manifest, resolve};
pub use source::ByteSource;
