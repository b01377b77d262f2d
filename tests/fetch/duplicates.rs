//! Requests for the same digest.

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::Provenance;
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::SkopeoCommand;
use test_support::loopback::samples;
use test_support::program::fakes::{
    MockSkopeo, POLICY, empty_cache, failed, fetch, fetch_with, never_cancelled, printed, request,
};

fn request_of(name: &str, digest: Digest) -> Request {
    let tls_verify = TlsVerify::Unset;
    Request::new(
        name.parse().expect("a name"),
        Location::Docker { tls_verify },
        digest,
    )
}

#[test]
fn duplicate_request_is_fetched_once_and_reported_each_time() {
    let (_dir, store) = empty_cache();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| printed(samples::empty()));
    let requests = vec![request(Digest::of(&samples::empty())); 5];
    let cancel = never_cancelled();
    let reports = fetch_with(&store, &skopeo, POLICY, &requests, (4, &cancel, &[]));
    assert_eq!(reports.len(), 5);
}

#[test]
fn duplicate_digest_of_a_second_name_is_a_hit() {
    let (_dir, store) = empty_cache();
    let digest = Digest::of(&samples::empty());
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| printed(samples::empty()));
    let requests = [
        request_of("quay.io/a", digest),
        request_of("quay.io/b", digest),
    ];
    let reports = fetch(&store, &skopeo, POLICY, &requests);
    let provenance = |at: usize| {
        let committed = reports[at].result.as_ref().expect("success");
        committed.provenance().clone()
    };
    assert!(matches!(provenance(0), Provenance::Fetched { .. }));
    assert_eq!(provenance(1), Provenance::Hit);
}

#[test]
fn duplicate_digest_of_a_second_name_is_fetched_if_the_first_name_fails() {
    let (_dir, store) = empty_cache();
    let digest = Digest::of(&samples::empty());
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(2)
        .returning(|command, _, _, _| match command {
            SkopeoCommand::InspectRaw(request) if request.name().as_str() == "quay.io/b" => {
                printed(samples::empty())
            }
            _ => failed("manifest unknown"),
        });
    let requests = [
        request_of("quay.io/a", digest),
        request_of("quay.io/b", digest),
    ];
    let reports = fetch(&store, &skopeo, POLICY, &requests);
    let succeeded = [0, 1].map(|at: usize| reports[at].result.is_ok());
    assert_eq!(succeeded, [false, true]);
}
