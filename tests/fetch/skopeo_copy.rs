//! Method copy: three commands, and skopeo's own digest.

use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::machine::{Cause, FailureKind, FetchPolicy, Method, State};
use skopeo_index_core::skopeo::SkopeoCommand;
use test_support::loopback::samples;
use test_support::program::fakes::{
    MockSkopeo, POLICY, empty_cache, failed, fetch, printed, request, skopeo_with,
};

use crate::retry::THREE_ATTEMPTS;
use crate::{cause, failure_kind};

pub(crate) const BY_COPY: FetchPolicy = FetchPolicy {
    method: Method::SkopeoCopy,
    ..POLICY
};

#[test]
fn fetch_by_both_methods_publishes_the_requested_bytes() {
    for method in [Method::Raw, Method::SkopeoCopy] {
        let (_dir, store) = empty_cache();
        let document = samples::oci_index(2);
        let policy = FetchPolicy { method, ..POLICY };
        let digest = Digest::of(&document);
        let skopeo = skopeo_with(vec![document.clone()]);
        let reports = fetch(&store, &skopeo, policy, &[request(digest)]);
        assert!(reports[0].result.is_ok());
        let object = std::fs::read(store.object(digest)).expect("the object");
        assert_eq!(object, document);
    }
}

#[test]
fn copy_digest_mismatch_fails_whether_skopeo_or_sha256_disagrees() {
    // skopeo confirms a wrong digest; then it denies the right one.
    let (requested, other) = (Digest::of(&samples::empty()), samples::oci_index(1));
    for (document, printed_digest) in [
        (other, requested),
        (samples::empty(), Digest::of(b"another")),
    ] {
        let (_dir, store) = empty_cache();
        let mut skopeo = MockSkopeo::new();
        skopeo
            .expect_run()
            .returning(move |command, _, _, _| match command {
                SkopeoCommand::CopyIndex { to, .. } => {
                    std::fs::write(to.join("manifest.json"), &document).expect("a file");
                    printed("")
                }
                SkopeoCommand::InspectDir { .. } => printed(document.clone()),
                _ => printed(printed_digest.to_string()),
            });
        let reports = fetch(&store, &skopeo, BY_COPY, &[request(requested)]);
        let failed = reports[0].result.as_ref().expect_err("a failure");
        assert_eq!(failed.state(), State::Inspected);
        assert!(store.objects().expect("a list").is_empty());
    }
}

#[test]
fn copy_retries_keep_the_directory_of_one_attempt() {
    let (_dir, store) = empty_cache();
    let root = store.root().to_owned();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(3)
        .returning(move |command, _, _, _| {
            let SkopeoCommand::CopyIndex { to, .. } = command else {
                panic!("{command:?}")
            };
            std::fs::write(to.join("blob"), b"x").expect("a file");
            let staging_dir = to.parent().expect("the staging directory");
            assert!(staging_dir.starts_with(&root));
            let entries = std::fs::read_dir(staging_dir).expect("a list").flatten();
            let dirs = entries.filter(|entry| entry.path().is_dir());
            assert_eq!(dirs.count(), 1);
            failed("connection refused")
        });
    let policy = FetchPolicy {
        method: Method::SkopeoCopy,
        ..THREE_ATTEMPTS
    };
    let reports = fetch(&store, &skopeo, policy, &[request(Digest::of(b""))]);
    assert!(reports[0].result.is_err());
}

#[test]
fn copy_output_directory_is_limited() {
    let (_dir, store) = empty_cache();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(1)
        .returning(|command, _, limits, _| {
            let SkopeoCommand::CopyIndex { to, .. } = command else {
                panic!("{command:?}")
            };
            assert_eq!(limits.output_dir, Some(*to));
            failed("manifest unknown")
        });
    let reports = fetch(&store, &skopeo, BY_COPY, &[request(Digest::of(b""))]);
    assert!(reports[0].result.is_err());
}

/// Why a fetch fails whose skopeo exits with 0 and leaves this manifest.
fn cause_of_copy(manifest: Option<Vec<u8>>) -> Cause {
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().returning(move |command, _, _, _| {
        if let (SkopeoCommand::CopyIndex { to, .. }, Some(bytes)) = (command, &manifest) {
            std::fs::write(to.join("manifest.json"), bytes).expect("a file");
        }
        printed("")
    });
    let (_dir, store) = empty_cache();
    let requests = [request(Digest::of(&samples::empty()))];
    let reports = fetch(&store, &skopeo, BY_COPY, &requests);
    cause(&reports[0]).clone()
}

#[test]
fn copy_of_an_oversized_manifest_is_too_large() {
    let cause = cause_of_copy(Some(vec![b' '; MAX_MANIFEST_SIZE + 1]));
    assert_eq!(failure_kind(&cause), FailureKind::TooLarge);
    let size = (MAX_MANIFEST_SIZE + 1).to_string();
    assert!(cause.to_string().contains(&size), "{cause}");
}

#[test]
fn copy_without_a_manifest_fails() {
    let cause = cause_of_copy(None);
    assert_eq!(failure_kind(&cause), FailureKind::Other);
    assert!(cause.to_string().contains("manifest.json"), "{cause}");
}
