//! The cache on its disk: lookup, publication, quarantine, staging, faults.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod faults;
mod lookup;
mod names;
mod publish;
mod quarantine;
mod real_disk;
mod staging;
mod sync;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skopeo_index::store::{DiskError, Store};
use test_support::program::fakes::{Fault, FaultyDisk, empty_cache};

const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EINVAL: i32 = 22;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const ENOTEMPTY: i32 = 39;

fn temp_dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn make_fifo(at: &Path) {
    let made = std::process::Command::new("mkfifo").arg(at).status();
    assert!(made.expect("mkfifo, of coreutils").success());
}

/// An empty cache whose directory exists.
fn existing_cache() -> (tempfile::TempDir, Store) {
    let (dir, store) = empty_cache();
    std::fs::create_dir(store.root()).expect("a directory");
    (dir, store)
}

/// A cache on a disk whose `n`th call fails.
fn faulty_cache(root: PathBuf, n: usize, fault: Fault) -> (Store, Arc<FaultyDisk>) {
    let disk = FaultyDisk::new(n, fault);
    (Store::new(root, disk.clone()), disk)
}

/// The errno with which the system refused a call.
fn errno<T>(result: Result<T, impl Into<DiskError>>) -> Option<i32> {
    match result.err()?.into() {
        DiskError::Io(error) => error.error.raw_os_error(),
        DiskError::Cancelled(_) => None,
    }
}
