//! Container storages, which skopeo would create.

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Cause, EffectError, FailureKind, FetchPolicy, Method};
use skopeo_index_core::request::{Location, Request};
use test_support::program::fakes::{MockSkopeo, POLICY, empty_cache, fetch};

#[test]
fn containers_storage_missing_is_not_found_and_not_created() {
    let (dir, store) = empty_cache();
    let missing = dir.path().join("storage");
    let storage = missing.to_str().expect("UTF-8").parse();
    let location = Location::ContainersStorage {
        location: Some(storage.expect("a location")),
    };
    let request = Request::new("app".parse().expect("a name"), location, Digest::of(b""));
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().never();
    for method in [Method::Raw, Method::SkopeoCopy] {
        let policy = FetchPolicy { method, ..POLICY };
        let reports = fetch(&store, &skopeo, policy, std::slice::from_ref(&request));
        let failed = reports[0].result.as_ref().expect_err("a failure");
        let Cause::EffectFailed {
            error: EffectError::Command { kind, .. },
        } = failed.cause()
        else {
            panic!("{failed}")
        };
        assert_eq!(*kind, FailureKind::NotFound);
        assert!(!missing.exists());
    }
}
