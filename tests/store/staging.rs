//! Staging directories: created, removed, swept once stale.

use std::fs;

use skopeo_index::store::{Disk, RealDisk, Store};
use test_support::program::fakes::Fault;

use crate::{EACCES, EIO, ENOENT, ENOTEMPTY, errno, existing_cache, faulty_cache, temp_dir};

#[test]
fn new_staging_any_refused_call_is_an_error() {
    for existing in ["", "cache", "cache/.skopeo-index"] {
        let is_staged_despite_fault = |n: &usize| {
            let dir = temp_dir();
            let root = dir.path().join("cache");
            fs::create_dir_all(dir.path().join(existing)).expect("a directory");
            let (store, disk) = faulty_cache(root, *n, Fault::Errno(EACCES));
            store.new_staging().is_ok() && disk.has_failed()
        };
        assert_eq!((1..20).find(is_staged_despite_fault), None, "{existing}");
    }
}

#[test]
fn new_staging_directory_swept_before_its_lock_is_created_again() {
    let staged = |n, errno| {
        let dir = temp_dir();
        fs::create_dir(dir.path().join(".skopeo-index")).expect("a directory");
        let (store, _) = faulty_cache(dir.path().to_owned(), n, Fault::Errno(errno));
        store.new_staging().map(drop)
    };
    // Open the cache and the private directory, create the staging directory, take its lock.
    for n in [3, 4] {
        assert!(staged(n, ENOENT).is_ok());
        assert_eq!(errno(staged(n, EIO)), Some(EIO));
    }
}

#[test]
fn remove_staging_removes_the_object_and_every_attempt() {
    let dir = temp_dir();
    let store = Store::at(dir.path().to_owned());
    let staging = store.new_staging().expect("names");
    let attempts = [1, 2].map(|n| store.attempt_dir(&staging, n));
    for attempt in &attempts {
        fs::create_dir(attempt).expect("a directory");
        fs::write(attempt.join("manifest.json"), b"x").expect("a file");
    }
    let staging_dir = attempts[0].parent().expect("the staging directory");
    let object = staging_dir.join("0.object");
    fs::write(&object, b"x").expect("a file");
    store.remove_staging(&staging, 2).expect("removed");
    let opened = RealDisk.open_dir(staging_dir).expect("a directory");
    assert_eq!(RealDisk.list(&opened).expect("a list"), ["lock"]);
}

#[test]
fn sweep_directory_removed_concurrently_is_skipped() {
    let swept = |n, errno| {
        let dir = temp_dir();
        let stale = dir.path().join(".skopeo-index/staging-stale");
        fs::create_dir_all(&stale).expect("a directory");
        let (store, _) = faulty_cache(dir.path().to_owned(), n, Fault::Errno(errno));
        store.sweep()
    };
    // Open the cache and the private directory, list it; open, lock, remove the stale one.
    let name = ".skopeo-index/staging-stale";
    assert_eq!(swept(9, EIO).expect("no fault").names, [name]);
    for n in 4..=6 {
        for concurrent in [ENOENT, ENOTEMPTY] {
            let swept = swept(n, concurrent).expect("no fault");
            assert_eq!((swept.names.len(), swept.errors.len()), (0, 0));
        }
        let refused = swept(n, EIO).and_then(|mut swept| swept.errors.pop().map_or(Ok(()), Err));
        assert_eq!(errno(refused), Some(EIO));
    }
}

#[test]
fn sweep_removes_stale_directory_and_keeps_that_of_a_live_process() {
    let (_dir, live) = existing_cache();
    let staging = live.new_staging().expect("names");
    let other = Store::at(live.root().to_owned());
    assert_eq!(other.sweep().expect("a working disk").names, [""; 0]);
    let (staging_dir, _) = staging.as_str().rsplit_once('/').expect("a directory");
    assert!(live.root().join(staging_dir).is_dir());
    // Its lock ends with the process.
    drop(live);
    assert_eq!(other.sweep().expect("a working disk").names, [staging_dir]);
    assert!(!other.root().join(staging_dir).exists());
}
