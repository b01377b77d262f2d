//! Another cache as the source of bytes.

use std::num::NonZeroUsize;
use std::time::Duration;

use skopeo_index::fetch::{ByteSource, Executor, Performer};
use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::machine::{Cause, FailureKind, FetchPolicy};
use test_support::loopback::samples;
use test_support::program::fakes::{POLICY, empty_cache, never_cancelled, request};

use crate::skopeo_copy::BY_COPY;
use crate::{cause, failure_kind};

/// Why a fetch from another cache fails that has what `put` puts there.
fn cause_from_cache(policy: FetchPolicy, put: impl Fn(&Store, Digest)) -> Cause {
    let ((_dir, store), (_other_dir, other)) = (empty_cache(), empty_cache());
    std::fs::create_dir(other.root()).expect("a directory");
    let digest = Digest::of(&samples::empty());
    put(&other, digest);
    let executor = Executor {
        performer: Performer {
            store: &store,
            source: ByteSource::Cache(&other),
            verifiers: None,
            retry_delay: Duration::ZERO,
            cancel: &never_cancelled(),
        },
        policy,
        jobs: NonZeroUsize::MIN,
        observers: &[],
    };
    let mut causes = Vec::new();
    executor.run(&[request(digest)], |report| {
        causes.push(cause(report).clone());
    });
    causes.remove(0)
}

#[test]
fn another_cache_with_oversized_object_or_directory_fails() {
    let large = cause_from_cache(POLICY, |other, digest| {
        std::fs::write(other.object(digest), vec![b' '; MAX_MANIFEST_SIZE + 1]).expect("a file");
    });
    assert_eq!(failure_kind(&large), FailureKind::TooLarge);
    let directory = cause_from_cache(POLICY, |other, digest| {
        std::fs::create_dir(other.object(digest)).expect("a directory");
    });
    assert_eq!(failure_kind(&directory), FailureKind::Other);
}

#[test]
fn another_cache_by_method_copy_fails_without_a_command() {
    let cause = cause_from_cache(BY_COPY, |other, digest| {
        std::fs::write(other.object(digest), samples::empty()).expect("a file");
    });
    assert_eq!(failure_kind(&cause), FailureKind::Other);
    assert!(cause.to_string().contains("no skopeo"), "{cause}");
}
