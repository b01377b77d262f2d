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
mod id;
mod line;
mod merkle;
mod record;
mod statement;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, InclusionProof};
pub use finding::{Finding, FindingKind, Severity};
pub use id::{InvalidId, LogId, RunId, Timestamp};
pub use line::{LineReader, LogLine, MAX_RECORD_LEN};
pub use merkle::{
    CompactRange, InclusionProofBuilder, NodeHash, leaf_hash, root_from_inclusion_proof,
};
pub use record::{
    CommandRecord, Entry, Record, RecordError, RunInfo, Schema, SkopeoIdentity, SourceInfo,
};
pub use statement::statement;
pub use verify::{KeepObjects, LogSummary, Objects, ParsedLine, Verifier};
