//! Looking up an object, which makes it durable.

use std::fs;

use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use test_support::program::fakes::Fault;

use crate::{EACCES, EINVAL, EIO, EROFS, errno, faulty_cache, temp_dir};

/// A cache with an object, on a disk whose `n`th call is refused.
fn refusing(n: usize, errno: i32) -> (tempfile::TempDir, Store, Digest) {
    let (dir, digest) = (temp_dir(), Digest::of(b"1"));
    fs::write(dir.path().join(digest.to_string()), b"1").expect("an object");
    let (store, _) = faulty_cache(dir.path().to_owned(), n, Fault::Errno(errno));
    (dir, store, digest)
}

#[test]
fn look_up_fsync_fails_is_an_error() {
    // Open the cache, read the object, sync it, sync its directory.
    for n in 1..=4 {
        let (_dir, store, digest) = refusing(n, EIO);
        assert_eq!(errno(store.look_up(digest)), Some(EIO), "{n}");
    }
}

#[test]
fn look_up_first_hit_fsyncs_ancestors_once() {
    let calls = |hits: usize| {
        let is_refused = |n: &usize| {
            let (_dir, store, digest) = refusing(*n, EIO);
            (0..hits).any(|_| store.look_up(digest).is_err())
        };
        (1..20).take_while(is_refused).count()
    };
    let ancestors = temp_dir().path().ancestors().skip(1).count();
    // Read the file, sync it, sync its directory; once, open the cache, sync the ancestors.
    assert_eq!(calls(1), 4 + ancestors);
    assert_eq!(calls(2), 4 + ancestors + 3);
}

#[test]
fn look_up_fsync_of_ancestor_not_permitted_is_tolerated() {
    let refused_calls = |errno| {
        let is_refused = |n: &usize| {
            let (_dir, store, digest) = refusing(*n, errno);
            store.look_up(digest).is_err()
        };
        (1..20).filter(is_refused).count()
    };
    for errno in [EACCES, EROFS, EINVAL] {
        // Opening the cache, reading the object, syncing it and the directory.
        assert_eq!(refused_calls(errno), 4, "{errno}");
    }
}
