//! Publishing while other processes publish the same object.

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Placement, Provenance};
use test_support::loopback::samples;
use test_support::program::fakes::{MockSkopeo, POLICY, fetch, printed, request};

use crate::existing_cache;

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
