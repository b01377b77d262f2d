//! The audit log: every transition of every fetch, tamper-evident.
//!
//! ```text
//!  Event ──▶ Recorder ──▶ Log: {"log":…,"op":{…},"prev":…,…,"trailer":…}\n
//!                                     leaf = SHA-256(0x00 ‖ line)      └─ SHA-256 of the line before it
//!  Verifier ◀── lines: trailer, canonical form, sequence, prev = leaf before, replay through `step`
//!  Checkpoint: origin, size, RFC 6962 root over all leaves
//! ```
//!
//! JSON Lines in a canonical form: keys sorted, ASCII, integers only, no
//! insignificant spaces. The stored line's bytes are hashed, not a re-encoding.

mod canonical;
mod checkpoint;
mod log;
mod merkle;
mod record;
mod recorder;
mod statement;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, Proof};
pub use log::{LINE_MAX, Log, LogError};
pub use merkle::{Frontier, Hash, leaf, prove, root_by_proof};
pub use record::{
    Command, NotAName, Op, Origin, Record, RecordError, RunId, Schema, SkopeoIdentity, Time,
};
pub use recorder::{Recorder, must_be_durable};
pub use statement::statement;
pub use verify::{Finding, Keep, Line, Severity, Verified, Verifier, What};
