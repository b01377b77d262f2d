//! The calls of a process, and their answers.

use std::io::ErrorKind;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::State;

use crate::file_system::{FileId, Text};

/// A call of a process: the smallest step that others can come between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    OpenDir(Text),
    MakeDir(Text),
    /// Waits for the other end of a named pipe.
    AwaitPipe(Text),
    /// Opens a lock file, which is created if missing.
    OpenLock(Text),
    Lock(FileId, LockMode),
    Create(Text),
    Write(Text, Text),
    Read(Text),
    SyncFile(Text),
    /// Syncs a file that was read, whatever its name is now.
    SyncOpened(FileId),
    SyncDir(Text),
    /// Syncs everything; a seeded bug leaves out a file.
    SyncFileSystem {
        skipped: Option<FileId>,
    },
    Rename(Text, Text),
    List(Text),
    Unlink(Text),
    RemoveDir(Text),
    /// The registry client requests the manifest of this digest.
    Request(Digest),
    /// skopeo prints the manifest of this digest.
    InspectRaw(Digest),
    /// skopeo copies the manifest of this digest into a directory.
    CopyIndex(Digest, Text),
    /// skopeo prints the manifest in a directory.
    InspectDir(Text),
    /// skopeo prints the digest of a file.
    ManifestDigest(Text),
    /// A verifier judges the bytes.
    Verify(u8),
    /// Appends a record to the audit log, durably.
    Record(State),
    /// Reports the object as committed.
    Report,
}

/// Whether a call waits for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockMode {
    Try,
    Blocking,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Done,
    /// The system refuses the call.
    Error(ErrorKind),
    Opened(FileId),
    /// Nothing was synced; or the gate refuses.
    Unavailable,
    Locked,
    /// Another process holds the lock.
    Contended,
    /// The lock file has no name any more.
    Unlinked,
    Absent,
    /// What is at a name.
    File(FileId, Text),
    Endless,
    NotAFile,
    Names(Vec<Text>),
    /// skopeo prints this.
    Content(Text),
    /// skopeo exits with 1 and this message.
    RemoteFailed(Text),
}
