//! Making objects durable that are in the cache already.

use std::sync::Arc;

use skopeo_index::store::{DiskError, FileSystemSync, OpenFile, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::CancelReason;
use test_support::loopback::samples;
use test_support::program::fakes::{Fault, FaultyDisk, never_cancelled};

use crate::{EIO, errno, temp_dir};

/// A cache with so many objects on a disk whose `n`th call is refused, and the objects,
/// opened by the first calls.
fn opened(
    (count, n): (usize, usize),
    sync: FileSystemSync,
) -> (tempfile::TempDir, Store, Arc<FaultyDisk>, Vec<OpenFile>) {
    let dir = temp_dir();
    let disk = FaultyDisk::with_sync(n, Fault::Errno(EIO), sync);
    let store = Store::new(dir.path().to_owned(), disk.clone());
    let files = (0..count).map(|n| {
        let document = samples::distinct(n);
        let digest = Digest::of(&document);
        std::fs::write(store.object(digest), document).expect("an object");
        store.open(digest).expect("an object").file.expect("a file")
    });
    let files = files.collect();
    (dir, store, disk, files)
}

/// More files than one thread takes.
const MANY: usize = 40;

#[test]
fn sync_of_the_file_system_covers_every_object() {
    let (_dir, store, disk, files) = opened((MANY, usize::MAX), FileSystemSync::Done);
    let before = disk.calls();
    store
        .sync_objects(&files, &never_cancelled())
        .expect("a working disk");
    // The ancestors are on the same file system, or need a sync of their own.
    let ancestors = store.root().ancestors().count() - 1;
    assert!(disk.calls() - before <= 1 + ancestors);
    let before = disk.calls();
    store
        .sync_objects(&files, &never_cancelled())
        .expect("a working disk");
    assert_eq!(disk.calls() - before, 1, "ancestors are synced once");
}

#[test]
fn sync_without_that_of_the_file_system_is_an_fsync_of_each_object() {
    let (_dir, store, disk, files) = opened((MANY, usize::MAX), FileSystemSync::Unavailable);
    let before = disk.calls();
    store
        .sync_objects(&files, &never_cancelled())
        .expect("a working disk");
    let ancestors = store.root().ancestors().count() - 1;
    assert_eq!(disk.calls() - before, 1 + files.len() + ancestors + 1);
}

#[test]
fn sync_fails_if_any_call_fails() {
    for sync in [FileSystemSync::Done, FileSystemSync::Unavailable] {
        for count in [1, MANY] {
            // Opening the cache, and each object.
            let first = 1 + count;
            let calls = match sync {
                FileSystemSync::Done => 1,
                FileSystemSync::Unavailable => first,
            };
            for n in first + 1..=first + calls {
                let (_dir, store, _, files) = opened((count, n), sync);
                assert_eq!(
                    errno(store.sync_objects(&files, &never_cancelled())),
                    Some(EIO),
                    "{sync:?} {n}"
                );
            }
        }
    }
}

#[test]
fn sync_of_the_file_system_that_failed_is_not_trusted_again() {
    // Open the cache, read the object.
    let (_dir, store, disk, files) = opened((1, 3), FileSystemSync::Done);
    assert_eq!(
        errno(store.sync_objects(&files, &never_cancelled())),
        Some(EIO)
    );
    let before = disk.calls();
    store
        .sync_objects(&files, &never_cancelled())
        .expect("it works again");
    let ancestors = store.root().ancestors().count() - 1;
    assert_eq!(disk.calls() - before, 1 + ancestors + 1, "an fsync of each");
}

#[test]
fn sync_of_a_cancelled_run_fails_without_a_call() {
    let (_dir, store, disk, files) = opened((MANY, usize::MAX), FileSystemSync::Done);
    let (before, cancel) = (disk.calls(), never_cancelled());
    cancel.cancel(CancelReason::HungUp);
    let synced = store.sync_objects(&files, &cancel);
    let is_cancelled = matches!(synced, Err(DiskError::Cancelled(CancelReason::HungUp)));
    assert!(is_cancelled, "{synced:?}");
    assert_eq!(disk.calls(), before);
}
