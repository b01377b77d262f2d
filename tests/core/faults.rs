//! A disk that fails, at each of its calls in turn.

use test_support::loopback::samples;
use skopeo_index::store::{RealDisk, Seen, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{FetchPolicy, Method};

use crate::stand_in::Faulty;
use crate::stand_in::Injected;
use crate::stand_in::PLAN;
use crate::stand_in::fetch_plainly;
use crate::stand_in::honest;
use crate::stand_in::request;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const EMFILE: i32 = 24;

/// What is in the cache before.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Corrupt,
    Sound,
}

/// More calls than any fetch makes.
const CALLS_MAX: usize = 200;

fn every_call_fails(before: Before, method: Method, with: Injected) {
    let document = samples::oci_index(2);
    let digest = Digest::of(&document);
    let skopeo = honest(vec![document.clone()]);
    let (plan, requests) = (FetchPolicy { method, ..PLAN }, [request(digest)]);
    for n in 1..CALLS_MAX {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("cache");
        match before {
            Before::Nothing => {}
            Before::Corrupt | Before::Sound => {
                std::fs::create_dir(&root).expect("a directory");
                let bytes = if matches!(before, Before::Sound) {
                    document.clone()
                } else {
                    b"x".to_vec()
                };
                std::fs::write(root.join(digest.to_string()), bytes).expect("an object");
            }
        }
        let faulty = Store::new(root.clone(), Faulty::new(n, with));
        let reports = fetch_plainly(&faulty, &skopeo, plan, &requests);
        let succeeded = reports.is_ok_and(|reports| reports[0].result.is_ok());
        let _may_fail_too = faulty.close();
        let injected = faulty.disk().has_failed();
        drop(faulty);

        // Rule 1, and rule 2: an object is sound or as it was, and there after a success.
        let store = Store::new(root, RealDisk);
        match store.read(digest).expect("a sound disk") {
            Seen::Bytes(bytes) if bytes == document => assert!(Index::parse(&bytes).is_ok()),
            Seen::Bytes(bytes) => {
                assert!(matches!(before, Before::Corrupt) && bytes == b"x" && !succeeded)
            }
            seen => assert!(
                seen == Seen::Absent && !succeeded,
                "{before:?} {n}: {seen:?}"
            ),
        }
        // Rule 3: the next run needs no hand.
        store.sweep().expect("a sound disk");
        let again = fetch_plainly(&store, &skopeo, plan, &requests).expect("no halt");
        assert!(again[0].result.is_ok(), "{before:?} {n}: {again:?}");
        store.close().expect("a sound disk");
        assert_eq!(store.left_over().expect("a sound disk"), [""; 0]);
        let staging = std::fs::read_dir(store.root().join(".skopeo-index"))
            .into_iter()
            .flatten()
            .flatten();
        let staging =
            staging.filter(|entry| entry.file_name().to_string_lossy().starts_with("staging"));
        assert_eq!(staging.count(), 0, "{before:?} {n}");
        if !injected {
            assert!(succeeded && n > 3, "{before:?} {n}");
            return;
        }
    }
    panic!("more than {CALLS_MAX} calls");
}

#[test]
fn every_call_may_fail_or_be_the_last() {
    for with in [
        Injected::Refusal(ENOSPC),
        Injected::Refusal(EIO),
        Injected::Refusal(EMFILE),
        Injected::Halt,
    ] {
        for before in [Before::Nothing, Before::Corrupt, Before::Sound] {
            every_call_fails(before, Method::Raw, with);
        }
        every_call_fails(Before::Nothing, Method::SkopeoCopy, with);
    }
}
