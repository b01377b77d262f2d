//! Publishing while other processes publish the same object.

use std::fs;

use skopeo_index::os::best_effort;
use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Cause, Placement, Provenance};
use test_support::loopback::samples;
use test_support::program::fakes::{
    FaultyDisk, MockSkopeo, POLICY, Tamper, fetch, printed, request, skopeo_with,
};

use crate::{existing_cache, temp_dir};

/// The placement of an object when another process writes `concurrent` at its name during
/// the download, and the number of quarantined objects.
fn placement_after(concurrent: Vec<u8>) -> (Placement, usize) {
    let (_dir, store) = existing_cache();
    let document = samples::oci_index(2);
    let object = store.object(Digest::of(&document));
    let (at, bytes) = (object.clone(), document.clone());
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().times(1).returning(move |_, _, _, _| {
        std::fs::write(&at, &concurrent).expect("a file");
        printed(bytes.clone())
    });
    let requests = [request(Digest::of(&document))];
    let reports = fetch(&store, &skopeo, POLICY, &requests);
    let committed = reports[0].result.as_ref().expect("success");
    assert_eq!(std::fs::read(object).expect("the object"), document);
    let Provenance::Fetched { placement, .. } = committed.provenance() else {
        panic!("{committed:?}")
    };
    let quarantined = store.quarantined().expect("a list").len();
    (placement.clone(), quarantined)
}

#[test]
fn publish_same_object_published_concurrently_is_already_there() {
    let (placement, quarantined) = placement_after(samples::oci_index(2));
    assert_eq!((placement, quarantined), (Placement::AlreadyThere, 0));
}

#[test]
fn publish_corrupt_object_written_concurrently_is_replaced_and_quarantined() {
    for other in [samples::oci_index(1), Vec::new(), b"x".to_vec()] {
        let (placement, quarantined) = placement_after(other);
        assert!(matches!(placement, Placement::Replaced(_)), "{placement:?}");
        assert_eq!(quarantined, 1);
    }
}

/// Fetches on a disk with another process. Returns the cause of the failure, if any, the
/// bytes at the object's name, and those in quarantine.
fn fetch_despite(before: Tamper, after: Tamper) -> (Option<Cause>, Option<Vec<u8>>, Vec<Vec<u8>>) {
    let dir = temp_dir();
    let disk = FaultyDisk::with_tampering(before, after);
    let store = Store::new(dir.path().to_owned(), disk);
    let document = samples::oci_index(2);
    let requests = [request(Digest::of(&document))];
    let reports = fetch(
        &store,
        &skopeo_with(vec![document.clone()]),
        POLICY,
        &requests,
    );
    let cause = reports[0].result.as_ref().err();
    let quarantined = store.quarantined().expect("a list").into_iter();
    let quarantined = quarantined.map(|name| fs::read(dir.path().join(name)).expect("a file"));
    (
        cause.map(|failed| failed.cause().clone()),
        fs::read(store.object(Digest::of(&document))).ok(),
        quarantined.collect(),
    )
}

#[test]
fn publish_staged_file_swapped_gives_the_written_file_its_name() {
    let swap: Tamper = |staged, _| {
        best_effort(fs::remove_file(staged));
        fs::write(staged, "other bytes").expect("a file");
    };
    let (cause, object, quarantined) = fetch_despite(swap, |_, _| {});
    assert_eq!((cause, object), (None, Some(samples::oci_index(2))));
    assert_eq!(quarantined, [b""; 0]);
}

#[test]
fn publish_object_replaced_before_read_back_is_quarantined() {
    let replace: Tamper = |_, object| {
        fs::remove_file(object).expect("the object");
        fs::write(object, "other bytes").expect("a file");
    };
    let (cause, object, quarantined) = fetch_despite(|_, _| {}, replace);
    assert!(
        matches!(cause, Some(Cause::ReadBackMismatch { .. })),
        "{cause:?}"
    );
    assert_eq!((object, quarantined), (None, vec![b"other bytes".to_vec()]));
}
