//! Copies that bring nothing of use, and waits that are cut short.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use test_support::loopback::samples;
use skopeo_index::fetch::Executor;
use skopeo_index::fetch::{ByteSource, Performer};
use skopeo_index::os::CancelToken;
use skopeo_index::store::{RealDisk, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::machine::{
    CancelReason, Cause, EffectError, FailureKind, FetchPolicy, Method,
};
use skopeo_index_core::skopeo::{SkopeoCommand, SkopeoOptions};

use crate::stand_in::MockSkopeo;
use crate::stand_in::PLAN;
use crate::stand_in::cache;
use crate::stand_in::failed;
use crate::stand_in::fetch_plainly;
use crate::stand_in::printed;
use crate::stand_in::request;

const BY_COPY: FetchPolicy = FetchPolicy {
    method: Method::SkopeoCopy,
    ..PLAN
};

/// Why a fetch fails whose skopeo ends well and leaves this manifest.
fn copied(manifest: Option<Vec<u8>>) -> Cause {
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().returning(move |command, _, _, _| {
        if let (SkopeoCommand::CopyIndex { to, .. }, Some(bytes)) = (command, &manifest) {
            std::fs::write(to.join("manifest.json"), bytes).expect("a file");
        }
        printed("")
    });
    let (_dir, store) = cache();
    let requests = [request(Digest::of(&samples::empty()))];
    let reports = fetch_plainly(&store, &skopeo, BY_COPY, &requests).expect("no halt");
    reports[0].result.clone().expect_err("a failure").cause
}

fn class(cause: &Cause) -> FailureKind {
    match cause {
        Cause::EffectFailed {
            trouble: EffectError::Command { class, .. },
        } => *class,
        other => panic!("{other}"),
    }
}

#[test]
fn a_copy_that_is_too_large_is_told() {
    let cause = copied(Some(vec![b' '; MAX_MANIFEST_SIZE + 1]));
    assert_eq!(class(&cause), FailureKind::TooLarge);
    assert!(
        cause
            .to_string()
            .contains(&(MAX_MANIFEST_SIZE + 1).to_string())
    );
}

#[test]
fn a_copy_that_leaves_nothing_is_told() {
    let cause = copied(None);
    assert_eq!(class(&cause), FailureKind::Other);
    assert!(cause.to_string().contains("manifest.json"), "{cause}");
}

/// Why a fetch from another cache fails, which has something else than a sound
/// object.
fn from_cache(plan: FetchPolicy, put: impl Fn(&Store<RealDisk>, Digest)) -> Cause {
    let ((_dir, store), (_other_dir, other)) = (cache(), cache());
    std::fs::create_dir(other.root()).expect("a directory");
    let digest = Digest::of(&samples::empty());
    put(&other, digest);
    let cancel = CancelToken::new(None).expect("a pipe");
    let executor = Executor::<MockSkopeo, _> {
        performer: Performer {
            store: &store,
            engine: ByteSource::Cache(&other),
            retry_delay: Duration::ZERO,
            cancel: &cancel,
        },
        plan,
        jobs: NonZeroUsize::MIN,
        witnesses: &[],
    };
    let mut cause = None;
    executor
        .run(&[request(digest)], |report| {
            cause = report.result.as_ref().err().map(|f| f.cause.clone());
        })
        .expect("no halt");
    cause.expect("a failure")
}

#[test]
fn what_another_cache_has_instead_of_an_object_is_told() {
    let large = from_cache(PLAN, |other, digest| {
        std::fs::write(other.object(digest), vec![b' '; MAX_MANIFEST_SIZE + 1]).expect("a file");
    });
    assert_eq!(class(&large), FailureKind::TooLarge);
    let directory = from_cache(PLAN, |other, digest| {
        std::fs::create_dir(other.object(digest)).expect("a directory");
    });
    assert_eq!(class(&directory), FailureKind::Other);
}

#[test]
fn no_skopeo_is_asked_about_another_caches_objects() {
    let cause = from_cache(BY_COPY, |other, digest| {
        std::fs::write(other.object(digest), samples::empty()).expect("a file");
    });
    assert_eq!(class(&cause), FailureKind::Other);
    assert!(cause.to_string().contains("no skopeo"), "{cause}");
}

#[test]
fn a_deadline_ends_the_pause_between_two_attempts() {
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(..=1)
        .returning(|_, _, _, _| failed("dial tcp: connect: connection refused"));
    let (_dir, store) = cache();
    let deadline = Instant::now() + Duration::from_millis(500);
    let cancel = CancelToken::new(Some(deadline)).expect("a pipe");
    let engine = ByteSource::Skopeo {
        runner: &skopeo,
        options: &SkopeoOptions::default(),
        command_timeout: Duration::from_secs(60),
    };
    let executor = Executor {
        performer: Performer {
            store: &store,
            engine,
            retry_delay: Duration::from_secs(60),
            cancel: &cancel,
        },
        plan: FetchPolicy {
            attempts: NonZeroU32::new(2).expect("two"),
            ..PLAN
        },
        jobs: NonZeroUsize::MIN,
        witnesses: &[],
    };
    let mut cause = None;
    executor
        .run(&[request(Digest::of(b""))], |report| {
            cause = report.result.as_ref().err().map(|f| f.cause.clone());
        })
        .expect("no halt");
    let why = CancelReason::Deadline;
    let trouble = EffectError::Cancelled { why };
    assert_eq!(cause, Some(Cause::EffectFailed { trouble }));
}
