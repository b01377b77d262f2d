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
mod finding;
mod lines;
mod log;
mod merkle;
mod names;
mod record;
mod recorder;
mod statement;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, Proof};
pub use finding::{Finding, Lost, Severity, What};
pub use lines::{LINE_MAX, Piece, Pieces};
pub use log::{Log, LogError};
pub use merkle::{Frontier, Hash, Prover, leaf, root_by_proof};
pub use names::{NotAName, Origin, RunId, Time};
pub use record::{Command, Op, Record, RecordError, Run, Schema, SkopeoIdentity};
pub use recorder::{Recorder, Supply, must_be_durable};
pub use statement::statement;
pub use verify::{Keep, Line, Objects, Verified, Verifier};
