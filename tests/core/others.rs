//! What others put into the same cache, before or at the worst moment.

use std::path::PathBuf;

use test_support::loopback::samples;
use skopeo_index::fetch::{FetchId, Observer, Transition, Veto};
use skopeo_index::os::CancelToken;
use skopeo_index::store::{RealDisk, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::machine::{Cause, Placement, Provenance, State};
use skopeo_index_core::request::Request;

use crate::stand_in::MockSkopeo;
use crate::stand_in::PLAN;
use crate::stand_in::cache;
use crate::stand_in::fetch;
use crate::stand_in::fetch_plainly;
use crate::stand_in::honest;
use crate::stand_in::printed;
use crate::stand_in::request;

/// An empty cache that is there already.
fn made_cache() -> (tempfile::TempDir, Store<RealDisk>) {
    let (dir, store) = cache();
    std::fs::create_dir(store.root()).expect("a directory");
    (dir, store)
}

/// Puts something at an object's name.
type Put = Box<dyn Fn(&PathBuf)>;

/// What may stand at an object's name without being it.
fn in_the_way() -> Vec<(&'static str, Put)> {
    let write = |bytes: Vec<u8>| move |at: &PathBuf| std::fs::write(at, &bytes).expect("a file");
    vec![
        ("nothing", Box::new(write(Vec::new()))),
        ("another index", Box::new(write(samples::oci_index(1)))),
        (
            "too much",
            Box::new(write(vec![b' '; MAX_MANIFEST_SIZE + 1])),
        ),
        (
            "a directory",
            Box::new(|at| std::fs::create_dir(at).expect("a directory")),
        ),
        (
            "a full directory",
            Box::new(|at| std::fs::create_dir_all(at.join("x/y")).expect("a directory")),
        ),
        (
            "a link to nowhere",
            Box::new(|at| std::os::unix::fs::symlink("/nowhere", at).expect("a link")),
        ),
        (
            "a link to /etc",
            Box::new(|at| std::os::unix::fs::symlink("/etc", at).expect("a link")),
        ),
    ]
}

#[test]
fn whatever_stands_at_an_objects_name_is_moved_aside_and_told() {
    for (what, put) in in_the_way() {
        let (_dir, store) = made_cache();
        let document = samples::oci_index(2);
        let object = store.object(Digest::of(&document));
        put(&object);
        let requests = [request(Digest::of(&document))];
        let reports = fetch_plainly(&store, &honest(vec![document.clone()]), PLAN, &requests)
            .expect("no halt");
        let committed = reports[0].result.as_ref().expect(what);
        assert_eq!(
            store.quarantined().expect("a list"),
            [committed.quarantined().expect(what)]
        );
        assert_eq!(std::fs::read(&object).expect(what), document);
    }
}

#[test]
fn an_object_of_another_source_with_a_sound_digest_is_left_alone() {
    for bytes in [b"no index".to_vec(), vec![b'x'; MAX_MANIFEST_SIZE + 1]] {
        let (_dir, store) = made_cache();
        let digest = Digest::of(&bytes);
        std::fs::write(store.object(digest), &bytes).expect("a file");
        let mut skopeo = MockSkopeo::new();
        skopeo.expect_run().never();
        let reports = fetch_plainly(&store, &skopeo, PLAN, &[request(digest)]).expect("no halt");
        let cause = &reports[0].result.as_ref().expect_err("a failure").cause;
        assert!(matches!(cause, Cause::NotAnIndex { .. }), "{cause}");
        assert_eq!(std::fs::read(store.object(digest)).expect("a file"), bytes);
    }
}

/// How the object came to its place when others put `meanwhile` there during the
/// download, and what is in quarantine then.
fn placed(meanwhile: Vec<u8>) -> (Placement, usize) {
    let (_dir, store) = made_cache();
    let document = samples::oci_index(2);
    let object = store.object(Digest::of(&document));
    let (at, bytes) = (object.clone(), document.clone());
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().times(1).returning(move |_, _, _, _| {
        std::fs::write(&at, &meanwhile).expect("a file");
        printed(bytes.clone())
    });
    let requests = [request(Digest::of(&document))];
    let reports = fetch_plainly(&store, &skopeo, PLAN, &requests).expect("no halt");
    let committed = reports[0].result.as_ref().expect("success");
    assert_eq!(std::fs::read(object).expect("it"), document);
    let Provenance::Fetched { placed, .. } = committed.provenance() else {
        panic!("{committed:?}")
    };
    (placed.clone(), store.quarantined().expect("a list").len())
}

#[test]
fn the_same_object_put_there_meanwhile_is_left_there() {
    assert_eq!(placed(samples::oci_index(2)), (Placement::AlreadyThere, 0));
}

#[test]
fn another_object_put_there_meanwhile_is_moved_aside() {
    for other in [samples::oci_index(1), Vec::new(), b"x".to_vec()] {
        let (placed, quarantined) = placed(other);
        assert!(matches!(placed, Placement::Replaced(_)), "{placed:?}");
        assert_eq!(quarantined, 1);
    }
}

/// Somebody who mends the object as soon as a transition is made.
struct Mender<'a>(&'a Store<RealDisk>);

impl Observer for Mender<'_> {
    fn transition(&self, _: FetchId, request: &Request, step: &Transition) -> Result<(), Veto> {
        assert_eq!(
            (step.event.from, self.0.root().is_dir()),
            (State::Pending, true)
        );
        let object = self.0.object(request.digest());
        std::fs::write(object, samples::oci_index(2)).expect("a file");
        Ok(())
    }
}

#[test]
fn an_object_that_somebody_mended_meanwhile_is_not_moved_aside() {
    let (_dir, store) = made_cache();
    let digest = Digest::of(&samples::oci_index(2));
    std::fs::write(store.object(digest), "x").expect("a file");
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().never();
    let cancel = CancelToken::new(None).expect("a pipe");
    let mender = Mender(&store);
    let watch = (1, &cancel, &[&mender as &dyn Observer][..]);
    let reports = fetch(&store, &skopeo, PLAN, &[request(digest)], watch).expect("no halt");
    let committed = reports[0].result.as_ref().expect("success");
    assert_eq!(committed.provenance(), &Provenance::Hit);
    assert!(store.quarantined().expect("a list").is_empty());
}

#[test]
fn who_lives_is_not_swept_and_who_is_gone_is() {
    let (_dir, alive) = made_cache();
    let staged = alive.stage().expect("a place");
    let other = Store::new(alive.root().to_owned(), RealDisk);
    assert_eq!(other.sweep().expect("a sound disk"), [""; 0]);
    let area = staged
        .as_str()
        .rsplit_once('/')
        .expect("a directory")
        .0
        .to_owned();
    assert!(alive.root().join(&area).is_dir());
    drop(alive);
    assert_eq!(
        other.sweep().expect("a sound disk"),
        std::slice::from_ref(&area)
    );
    assert!(!other.root().join(&area).exists());
}
