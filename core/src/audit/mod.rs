//! The audit log's format: tamper-evident records of every transition of every fetch.
//!
//! ```text
//!  {"entry":{…},"log":…,"prev":…,…,"trailer":…}\n     leaf hash = SHA-256(0x00 ‖ line)
//!                         │                └─ SHA-256 of the record before it
//!                         └─ leaf hash of the previous line
//!
//!  line ─▶ ParsedLine ─▶ Verifier ─▶ Finding: trailer, canonical form, sequence, prev, replay
//!  leaf hashes ─▶ CompactRange ─▶ Checkpoint: log id, size, RFC 6962 root
//! ```
//!
//! Records are JSON Lines in canonical form: keys sorted, ASCII, integers only, no
//! insignificant spaces. The stored line is hashed, not a re-encoding of it.

mod checkpoint;
mod command_rules;
mod content_rules;
mod contradiction;
mod finding;
mod id;
mod line;
mod merkle;
mod names;
mod record;
mod replay;
mod rotation;
mod statement;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, InclusionProof};
pub use contradiction::Contradiction;
pub use finding::{Finding, FindingKind, Severity};
pub use id::{InvalidId, LogId, PLAUSIBLE_YEARS, RunId, Timestamp};
pub use line::{LineReader, LogLine, LongLine, MAX_RECORD_LEN, ParsedLine};
pub use merkle::{
    CompactRange, InclusionProofBuilder, NodeHash, leaf_hash, root_from_inclusion_proof,
};
pub use record::{
    CommandRecord, Entry, MAX_TORN_LINES, Record, RecordError, RunInfo, Schema, SkopeoIdentity,
    SourceInfo, TornLine, is_complete,
};
pub use rotation::{FileName, FileNameError, PreviousLog, Rotation};
pub use statement::statement;
pub use verify::{KeepObjects, LogSummary, Objects, Verifier};
