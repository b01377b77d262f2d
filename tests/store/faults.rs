//! A disk that fails at each of its calls in turn.

use proptest::prelude::*;
use skopeo_index::os::best_effort;
use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{CacheEntry, FetchPolicy, Method};
use test_support::loopback::samples;
use test_support::program::fakes::{
    Fault, POLICY, catch_crash, fetch, fetch_with, never_cancelled, request, skopeo_with,
};
use test_support::program::staging_dirs;
use test_support::property::config;

use crate::{EIO, EMFILE, ENOSPC, faulty_cache, temp_dir};

/// What is in the cache before the fetch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Absent,
    Corrupt,
    Intact,
}

/// More calls than any fetch makes.
const MAX_CALLS: usize = 200;

fn every_call_fails(before: Before, method: Method, fault: Fault) {
    let document = samples::oci_index(2);
    let digest = Digest::of(&document);
    let skopeo = skopeo_with(vec![document.clone()]);
    let (policy, requests) = (FetchPolicy { method, ..POLICY }, [request(digest)]);
    for n in 1..MAX_CALLS {
        let context = format!("{before:?} {method:?} {fault:?} at call {n}");
        let dir = temp_dir();
        let root = dir.path().join("cache");
        if before != Before::Absent {
            std::fs::create_dir(&root).expect("a directory");
            let bytes = match before {
                Before::Intact => document.clone(),
                _ => b"x".to_vec(),
            };
            std::fs::write(root.join(digest.to_string()), bytes).expect("an object");
        }
        let (faulty, disk) = faulty_cache(root.clone(), n, fault);
        let reports = catch_crash(|| fetch(&faulty, &skopeo, policy, &requests));
        let succeeded = reports.is_ok_and(|reports| reports[0].result.is_ok());
        // It may fail or crash as well.
        best_effort(catch_crash(|| best_effort(faulty.remove_staging_dir())));
        let injected = disk.has_failed();
        drop(faulty);

        // The object is intact or as it was before, and it is there after a success.
        let store = Store::at(root);
        match store.read(digest).expect("a working disk") {
            CacheEntry::File { content } if content.as_slice() == document => {
                assert!(Index::parse(content.as_slice()).is_ok());
            }
            CacheEntry::File { content } => {
                let unchanged = before == Before::Corrupt && content.as_slice() == b"x";
                assert!(unchanged && !succeeded, "{context}");
            }
            entry => assert!(
                entry == CacheEntry::Absent && !succeeded,
                "{context}: {entry:?}"
            ),
        }
        // The next run needs no manual repair.
        store.sweep().expect("a working disk");
        let again = fetch(&store, &skopeo, policy, &requests);
        assert!(again[0].result.is_ok(), "{context}: {again:?}");
        store.remove_staging_dir().expect("a working disk");
        assert_eq!(
            store.stale_staging().expect("a working disk").names,
            [""; 0]
        );
        assert_eq!(staging_dirs(store.root()), [""; 0], "{context}");
        if !injected {
            assert!(succeeded && n > 3, "{context}");
            return;
        }
    }
    panic!("more than {MAX_CALLS} calls");
}

#[test]
fn fetch_disk_fault_or_crash_at_any_call_leaves_intact_or_no_object() {
    for fault in [
        Fault::Errno(ENOSPC),
        Fault::Errno(EIO),
        Fault::Errno(EMFILE),
        Fault::Crash,
    ] {
        for before in [Before::Absent, Before::Corrupt, Before::Intact] {
            every_call_fails(before, Method::Raw, fault);
        }
        every_call_fails(Before::Absent, Method::SkopeoCopy, fault);
    }
}

proptest! {
    #![proptest_config(config(60, "store-faults.txt"))]

    #[test]
    fn fetches_disk_fault_or_crash_among_many_leaves_intact_cache(
        n in 1..60_usize,
        jobs in 1..4_usize,
        kind in 0..3_u8,
        copy: bool,
        corrupt in prop::collection::vec(any::<bool>(), 4),
    ) {
        let documents: Vec<_> = (0..4).map(samples::distinct).collect();
        let requests: Vec<_> = documents.iter().map(|d| request(Digest::of(d))).collect();
        let dir = temp_dir();
        let root = dir.path().join("cache");
        let store = Store::at(root.clone());
        std::fs::create_dir(&root).expect("a directory");
        for (request, _) in requests.iter().zip(&corrupt).filter(|(_, corrupt)| **corrupt) {
            std::fs::write(store.object(request.digest()), "x").expect("a file");
        }
        let fault = match kind {
            0 => Fault::Errno(ENOSPC),
            1 => Fault::Errno(EIO),
            _ if jobs == 1 => Fault::Crash,
            _ => Fault::DiskGone,
        };
        let (faulty, _) = faulty_cache(root, n, fault);
        let method = if copy { Method::SkopeoCopy } else { Method::Raw };
        let policy = FetchPolicy { method, ..POLICY };
        let (cancel, skopeo) = (never_cancelled(), skopeo_with(documents));
        let reports =
            catch_crash(|| fetch_with(&faulty, &skopeo, policy, &requests, (jobs, &cancel, &[])));
        // It may fail or crash as well.
        best_effort(catch_crash(|| best_effort(faulty.remove_staging_dir())));
        drop(faulty);

        let succeeded =
            |at: usize| reports.as_ref().is_ok_and(|reports| reports[at].result.is_ok());
        for (at, request) in requests.iter().enumerate() {
            match store.read(request.digest()).expect("a working disk") {
                CacheEntry::File { content } if content.as_slice() == b"x" => {
                    prop_assert!(corrupt[at] && !succeeded(at));
                }
                CacheEntry::File { content } => {
                    prop_assert_eq!(Digest::of(content.as_slice()), request.digest());
                    prop_assert!(Index::parse(content.as_slice()).is_ok());
                }
                entry => {
                    prop_assert!(entry == CacheEntry::Absent && !succeeded(at), "{:?}", entry);
                }
            }
        }
        store.sweep().expect("a working disk");
        let again = fetch(&store, &skopeo, policy, &requests);
        prop_assert!(again.iter().all(|report| report.result.is_ok()), "{:?}", again);
        store.remove_staging_dir().expect("a working disk");
        prop_assert_eq!(store.stale_staging().expect("a working disk").names, [""; 0]);
    }
}
