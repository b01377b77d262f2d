//! The audit log's format: tamper-evident records of every transition of every fetch.
//!
//! ```text
//!  {"entry":{…},"log":…,"prev":…,…,"trailer":…}\n     leaf hash = SHA-256(0x00 ‖ line)
//!                         │                └─ SHA-256 of the bytes before ,"trailer":
//!                         └─ leaf hash of the previous line
//!
//!  line ─▶ ParsedLine ─▶ LogVerifier ─▶ Finding: trailer, canonical form, sequence, prev, replay
//!  leaf hashes ─▶ CompactRange ─▶ Checkpoint: log id, size, RFC 6962 root ─▶ Note: signed
//!              ├▶ PathBuilder ─▶ Proof: a record's inclusion, an extension's consistency
//!              └▶ TileBuilder ─▶ Tile: 256 hashes of one level
//! ```
//!
//! Records are JSON Lines in canonical form: keys sorted, ASCII, integers only, no
//! insignificant spaces. The stored line is hashed, not a re-encoding of it.

mod checkpoint;
mod command_rules;
mod content_rules;
mod contradiction;
mod dsse;
mod exchange;
mod exchange_rules;
mod failure_rules;
mod finding;
mod id;
mod invocation;
mod key;
mod line;
mod merkle;
mod names;
mod note;
mod program;
mod proof;
mod record;
mod replay;
mod rotation;
mod statement;
mod tile;
mod verifier_rules;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, SavedCheckpoint};
pub use contradiction::Contradiction;
pub use dsse::{dsse_envelope, dsse_message};
pub use exchange::{ExchangeRecord, FetchEngine, FetchOrigin, TlsRecord};
pub use finding::{Finding, FindingKind, Severity};
pub use id::{InvalidId, LogId, MAX_NEW_ORIGIN_LEN, MAX_ORIGIN_LEN, RunId, Timestamp};
pub use invocation::{
    Invocation, Label, LabelError, Labels, MAX_LABEL_KEY_LEN, MAX_LABEL_VALUE_LEN, MAX_LABELS,
    is_host_name, is_user_name,
};
pub use key::{KeyError, KeyId, KeyName, SecretKey, VerifierKey, VerifierKeys};
pub use line::{LineReader, LogLine, LongLine, MAX_RECORD_LEN, ParsedLine};
pub use merkle::{
    CompactRange, NodeHash, PathBuilder, is_consistent, leaf_hash, root_from_inclusion_proof,
};
pub use note::{MAX_NOTE_LEN, MAX_SIGNATURES, Note, NoteError, NoteSignature, SignatureError};
pub use program::{CommandRecord, SkopeoIdentity, VerifierRecord};
pub use proof::{ConsistencyProof, InclusionProof, MAX_PROOF_LEN, Proof, ProofError};
pub use record::{
    Entry, MAX_TORN_LINES, Record, RecordError, RunInfo, Schema, SourceInfo, TornLine,
    TransitionRecord, is_complete,
};
pub use rotation::{FileName, FileNameError, PreviousLog, Rotation};
pub use statement::{InvalidVerifierId, MAX_VERIFIER_ID_LEN, VerifierId, statement};
pub use tile::{LineTooLong, Tile, TileBuilder};
pub use verifier_rules::{LongArguments, MAX_VERIFIER_ARGUMENTS_LEN};
pub use verify::{KeepObjects, LogSummary, LogVerifier, Objects};
