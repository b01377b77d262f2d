//! Bugs that the checker must detect.

/// A bug that [`crate::simulation`] adds to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeededBug {
    FileNeverSynced,
    DirectoryNeverSynced,
    RenamedBeforeSynced,
    WrittenInPlace,
    VerifiedAfterRename,
    SweptWithoutLock,
    LockedTwice,
    RecordedAfterPublishing,
    NeverRecorded,
    LinkFollowed,
    PipeAwaited,
    ReportedBeforeSynced,
    SyncSkipsFile,
    FailedSyncIgnored,
}
