//! Corrupt objects, and objects of other sources.

use std::path::PathBuf;

use skopeo_index::fetch::{FetchId, Observer, Transition, Veto};
use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::machine::{Cause, Provenance, State};
use skopeo_index_core::request::Request;
use test_support::loopback::samples;
use test_support::program::fakes::{
    MockSkopeo, POLICY, fetch, fetch_with, never_cancelled, request, skopeo_with,
};

use crate::{existing_cache, make_fifo};

/// Creates something at an object's name.
type Create = Box<dyn Fn(&PathBuf)>;

/// What may be at an object's name without being the object.
fn corrupt_objects() -> Vec<(&'static str, Create)> {
    let write = |bytes: Vec<u8>| move |at: &PathBuf| std::fs::write(at, &bytes).expect("a file");
    vec![
        ("an empty file", Box::new(write(Vec::new()))),
        ("another index", Box::new(write(samples::oci_index(1)))),
        ("a named pipe", Box::new(|at| make_fifo(at))),
        (
            "an empty directory",
            Box::new(|at| std::fs::create_dir(at).expect("a directory")),
        ),
        (
            "a directory with entries",
            Box::new(|at| std::fs::create_dir_all(at.join("x/y")).expect("a directory")),
        ),
        (
            "a dangling symlink",
            Box::new(|at| std::os::unix::fs::symlink("/nowhere", at).expect("a link")),
        ),
        (
            "a symlink to /etc",
            Box::new(|at| std::os::unix::fs::symlink("/etc", at).expect("a link")),
        ),
    ]
}

#[test]
fn quarantine_corrupt_object_of_any_kind_is_moved_reported_and_replaced() {
    for (what, create) in corrupt_objects() {
        let (_dir, store) = existing_cache();
        let document = samples::oci_index(2);
        let object = store.object(Digest::of(&document));
        create(&object);
        let requests = [request(Digest::of(&document))];
        let skopeo = skopeo_with(vec![document.clone()]);
        let reports = fetch(&store, &skopeo, POLICY, &requests);
        let committed = reports[0].result.as_ref().expect(what);
        assert_eq!(
            store.quarantined().expect("a list"),
            [committed.quarantined().expect(what)]
        );
        assert_eq!(std::fs::read(&object).expect(what), document);
    }
}

#[test]
fn quarantine_object_with_matching_digest_or_oversized_is_kept() {
    let document = b"not an index".to_vec();
    let oversized = vec![b'x'; MAX_MANIFEST_SIZE + 1];
    for (bytes, digest) in [
        (document.clone(), Digest::of(&document)),
        (oversized.clone(), Digest::of(&oversized)),
        (oversized, Digest::of(b"other")),
    ] {
        let (_dir, store) = existing_cache();
        std::fs::write(store.object(digest), &bytes).expect("a file");
        let mut skopeo = MockSkopeo::new();
        skopeo.expect_run().never();
        let reports = fetch(&store, &skopeo, POLICY, &[request(digest)]);
        let failed = reports[0].result.as_ref().expect_err("a failure");
        let cause = failed.cause();
        assert!(matches!(cause, Cause::NotAnIndex { .. }), "{cause}");
        assert_eq!(std::fs::read(store.object(digest)).expect("a file"), bytes);
    }
}

/// Another process that repairs the object as soon as a transition is made.
struct ConcurrentRepair<'a>(&'a Store);

impl Observer for ConcurrentRepair<'_> {
    fn transition(
        &self,
        _: FetchId,
        request: &Request,
        transition: &Transition,
    ) -> Result<(), Veto> {
        assert_eq!(
            (transition.event.from, self.0.root().is_dir()),
            (State::Pending, true)
        );
        let object = self.0.object(request.digest());
        std::fs::write(object, samples::oci_index(2)).expect("a file");
        Ok(())
    }
}

#[test]
fn quarantine_object_repaired_concurrently_is_a_hit() {
    let (_dir, store) = existing_cache();
    let digest = Digest::of(&samples::oci_index(2));
    std::fs::write(store.object(digest), "x").expect("a file");
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().never();
    let (cancel, repair) = (never_cancelled(), ConcurrentRepair(&store));
    let how = (1, &cancel, &[&repair as &dyn Observer][..]);
    let reports = fetch_with(&store, &skopeo, POLICY, &[request(digest)], how);
    let committed = reports[0].result.as_ref().expect("success");
    assert_eq!(committed.provenance(), &Provenance::Hit);
    assert!(store.quarantined().expect("a list").is_empty());
}
