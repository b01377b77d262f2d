//! Hits: batches that share a sync, among misses and duplicates.

use std::fs;
use std::sync::Mutex;

use proptest::prelude::*;
use skopeo_index::fetch::{FetchId, FetchTransition, Observer, Transition, Veto};
use skopeo_index::store::{FileSystemSync, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Cause, EffectError, Provenance, State};
use skopeo_index_core::request::Request;
use test_support::loopback::samples;
use test_support::program::fakes::{
    Fault, FaultyDisk, POLICY, catch_crash, empty_cache, fetch_with, never_cancelled, request,
    skopeo_with,
};
use test_support::property::config;

const EIO: i32 = 5;

/// The states that each batch of transitions leads to.
#[derive(Default)]
struct Batches(Mutex<Vec<Vec<State>>>);

impl Observer for Batches {
    fn transition(&self, _: FetchId, _: &Request, transition: &Transition) -> Result<(), Veto> {
        let mut batches = self.0.lock().expect("no panic");
        batches.push(vec![transition.event.to]);
        Ok(())
    }

    fn transitions(&self, batch: &[&FetchTransition<'_>]) -> Vec<Result<(), Veto>> {
        let states = batch.iter().map(|made| made.transition.event.to);
        self.0.lock().expect("no panic").push(states.collect());
        batch.iter().map(|_| Ok(())).collect()
    }
}

/// A cache with so many objects, their documents and requests for them.
fn cache_with(count: usize) -> (tempfile::TempDir, Store, Vec<Vec<u8>>, Vec<Request>) {
    let (dir, store) = empty_cache();
    fs::create_dir(store.root()).expect("a directory");
    let documents: Vec<_> = (0..count).map(samples::distinct).collect();
    let requests: Vec<_> = documents.iter().map(|d| request(Digest::of(d))).collect();
    for (document, request) in documents.iter().zip(&requests) {
        fs::write(store.object(request.digest()), document).expect("an object");
    }
    (dir, store, documents, requests)
}

#[test]
fn hits_are_recorded_as_one_batch() {
    let (_dir, store, _, requests) = cache_with(300);
    let (cancel, batches) = (never_cancelled(), Batches::default());
    let how = (4, &cancel, &[&batches as &dyn Observer][..]);
    let reports = fetch_with(&store, &skopeo_with(Vec::new()), POLICY, &requests, how);
    assert!(reports.iter().all(|report| report.result.is_ok()));
    let batches = batches.0.into_inner().expect("no panic");
    assert_eq!(batches, [vec![State::Committed; 300]]);
}

#[test]
fn hit_is_recorded_only_after_its_sync() {
    let (_dir, store, _, requests) = cache_with(3);
    for sync in [FileSystemSync::Done, FileSystemSync::Unavailable] {
        // Opening the cache, reading three objects; the sync of the file system, of the first.
        let calls = if sync == FileSystemSync::Done {
            5..=5
        } else {
            5..=8
        };
        for n in calls {
            let disk = FaultyDisk::with_sync(n, Fault::Crash, sync);
            let store = Store::new(store.root().to_owned(), disk);
            let (cancel, batches) = (never_cancelled(), Batches::default());
            let how = (1, &cancel, &[&batches as &dyn Observer][..]);
            let skopeo = skopeo_with(Vec::new());
            let crashed = catch_crash(|| fetch_with(&store, &skopeo, POLICY, &requests, how));
            assert!(crashed.is_err(), "{sync:?} {n}");
            let batches = batches.0.into_inner().expect("no panic");
            assert!(batches.is_empty(), "{sync:?} {n}: {batches:?}");
        }
    }
}

#[test]
fn failed_sync_fails_each_hit_of_its_batch_and_no_miss() {
    let (_dir, store, mut documents, mut requests) = cache_with(3);
    documents.push(samples::empty());
    requests.push(request(Digest::of(&samples::empty())));
    // Opening the cache, reading four names.
    let disk = FaultyDisk::with_sync(6, Fault::Errno(EIO), FileSystemSync::Done);
    let store = Store::new(store.root().to_owned(), disk);
    let (cancel, skopeo) = (never_cancelled(), skopeo_with(documents));
    let reports = fetch_with(&store, &skopeo, POLICY, &requests, (2, &cancel, &[]));
    for report in &reports[..3] {
        let cause = crate::cause(report);
        let is_disk = matches!(
            cause,
            Cause::EffectFailed {
                error: EffectError::Disk { .. }
            }
        );
        assert!(is_disk, "{cause}");
    }
    assert!(reports[3].result.is_ok(), "{:?}", reports[3]);
}

/// What is at a digest's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Absent,
    Intact,
    Corrupt,
    Directory,
}

proptest! {
    #![proptest_config(config(60, "hits.txt"))]

    #[test]
    fn hits_and_misses_in_any_order_are_reported_in_the_order_of_requests(
        before in prop::collection::vec(
            prop::sample::select(
                vec![Before::Absent, Before::Intact, Before::Corrupt, Before::Directory]
            ),
            1..12,
        ),
        positions in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
        jobs in 1..5_usize,
    ) {
        let (_dir, store) = empty_cache();
        fs::create_dir(store.root()).expect("a directory");
        let documents: Vec<_> = (0..before.len()).map(samples::distinct).collect();
        for (document, before) in documents.iter().zip(&before) {
            let object = store.object(Digest::of(document));
            match before {
                Before::Absent => {}
                Before::Intact => fs::write(object, document).expect("an object"),
                Before::Corrupt => fs::write(object, "x").expect("an object"),
                Before::Directory => fs::create_dir(object).expect("a directory"),
            }
        }
        let positions: Vec<_> = positions.iter().map(|at| at.index(documents.len())).collect();
        let requests: Vec<_> = positions
            .iter()
            .map(|at| request(Digest::of(&documents[*at])))
            .collect();
        let (cancel, skopeo) = (never_cancelled(), skopeo_with(documents));
        let reports = fetch_with(&store, &skopeo, POLICY, &requests, (jobs, &cancel, &[]));
        prop_assert!(reports.iter().map(|report| &report.request).eq(&requests));
        for (report, at) in reports.iter().zip(positions) {
            let committed = report.result.as_ref().expect("success");
            let is_hit = *committed.provenance() == Provenance::Hit;
            prop_assert_eq!(is_hit, before[at] == Before::Intact);
            let is_replaced = matches!(before[at], Before::Corrupt | Before::Directory);
            prop_assert_eq!(committed.quarantined().is_some(), is_replaced);
        }
    }
}
