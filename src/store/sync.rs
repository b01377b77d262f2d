//! Makes objects that are in the cache already durable, with their names.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::{DiskError, FileSystemSync, OpenFile, Store};
use crate::os::{CancelToken, PathError, for_each_in_parallel, is_unsyncable};

/// Threads that fsync the files of a batch: the kernel merges the cache flushes of
/// concurrent fsyncs, and a disk gains little from more.
const SYNC_THREADS: usize = 4;

/// The least number of files for which a thread is started.
const MIN_FILES_PER_THREAD: usize = 16;

impl Store {
    /// Makes objects that were read durable: their writers may have crashed before their
    /// fsync, or never call it (osbuild's Python source). One sync of the file system
    /// covers them all where it is certain to, and an fsync of each elsewhere, until
    /// cancelled.
    pub fn sync_objects(&self, files: &[OpenFile], cancel: &CancelToken) -> Result<(), DiskError> {
        if let Some(reason) = cancel.cancelled() {
            return Err(DiskError::Cancelled(reason));
        }
        let root = self.make_root()?;
        let sync_file = |file: &OpenFile| match cancel.cancelled() {
            Some(reason) => Err(DiskError::Cancelled(reason)),
            None => Ok(self.disk.sync_file(file)?),
        };
        // Linux reports a failed write-back to each descriptor once. What it lost is
        // unknown; an fsync reports it for each file.
        let has_failed = &self.file_system_sync_failed;
        let synced = match has_failed.load(Ordering::Relaxed) {
            true => Ok(FileSystemSync::Unavailable),
            false => self.disk.sync_file_system(root, files),
        };
        match synced.inspect_err(|_| has_failed.store(true, Ordering::Relaxed))? {
            FileSystemSync::Done => {
                self.sync_ancestors(|dir| !self.disk.is_on_file_system_of(root, dir))?;
            }
            FileSystemSync::Unavailable => {
                for_each_in_parallel(files, SYNC_THREADS, MIN_FILES_PER_THREAD, sync_file)?;
                self.sync_root()?;
            }
        }
        Ok(())
    }

    /// Makes the cache's entries durable, and those of its ancestors.
    pub(super) fn sync_root(&self) -> Result<(), PathError> {
        let root = self.make_root()?;
        self.root_syncs.sync(|| {
            self.sync_ancestors(|_| true)?;
            self.disk.sync_dir(root)
        })
    }

    /// Makes the entries of the cache's ancestors durable, once per process: their creator
    /// may not have synced. `needs_sync` says which are not durable yet.
    fn sync_ancestors(&self, needs_sync: impl Fn(&Path) -> bool) -> Result<(), PathError> {
        if self.ancestors_synced.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut ancestors = self.disk.ancestors(&self.path);
        ancestors.retain(|dir| needs_sync(dir));
        for dir in &ancestors {
            match self.disk.sync_path(dir) {
                Err(error) if is_unsyncable(&error.error) => {}
                synced => synced?,
            }
        }
        self.ancestors_synced.store(true, Ordering::Release);
        Ok(())
    }
}
