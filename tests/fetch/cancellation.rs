//! Runs that are cancelled: before, between, during fetches.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use skopeo_index::command::RunError;
use skopeo_index::fetch::{ByteSource, Executor, Performer};
use skopeo_index::os::CancelToken;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{CancelReason, FetchPolicy};
use skopeo_index_core::skopeo::{SkopeoCommand, SkopeoOptions};
use test_support::loopback::samples;
use test_support::program::fakes::{
    MockSkopeo, POLICY, empty_cache, failed, fetch, fetch_with, never_cancelled, printed, request,
    skopeo,
};

use crate::{cancelled, cause};

#[test]
fn cancelled_run_runs_no_command_and_reports_all_requests() {
    let (_dir, store) = empty_cache();
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().never();
    let cancel = never_cancelled();
    cancel.cancel(CancelReason::HungUp);
    let requests: Vec<_> = (0..3_u8).map(|n| request(Digest::of(&[n]))).collect();
    let reports = fetch_with(&store, &skopeo, POLICY, &requests, (2, &cancel, &[]));
    assert_eq!(reports.len(), 3);
    for report in reports {
        assert_eq!(cause(&report), &cancelled(CancelReason::HungUp));
    }
}

#[test]
fn cancelled_between_fetches_keeps_objects_and_fetches_no_more() {
    let documents: Vec<_> = (0..4).map(samples::distinct).collect();
    let requests: Vec<_> = documents.iter().map(|d| request(Digest::of(d))).collect();
    let mut skopeo = MockSkopeo::new();
    let third = requests[2].digest();
    skopeo
        .expect_run()
        .times(3)
        .returning(move |command, _, _, cancel| match command {
            SkopeoCommand::InspectRaw(request) if request.digest() == third => {
                cancel.cancel(CancelReason::Interrupted);
                Err(RunError::Cancelled(CancelReason::Interrupted))
            }
            SkopeoCommand::InspectRaw(request) => {
                let found = documents.iter().find(|d| Digest::of(d) == request.digest());
                printed(found.expect("a document").clone())
            }
            other => panic!("{other:?}"),
        });
    let (_dir, store) = empty_cache();
    let reports = fetch(&store, &skopeo, POLICY, &requests);
    assert!(reports[..2].iter().all(|report| report.result.is_ok()));
    assert_eq!(reports.len(), 4);
    for report in &reports[2..] {
        assert_eq!(cause(report), &cancelled(CancelReason::Interrupted));
    }
    assert_eq!(store.objects().expect("a list").len(), 2);
}

#[test]
fn cancelled_after_the_bytes_are_fetched_commits_them() {
    let (_dir, store) = empty_cache();
    let cancel = Arc::new(never_cancelled());
    let token = Arc::clone(&cancel);
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().times(1).returning(move |_, _, _, _| {
        token.cancel(CancelReason::Interrupted);
        printed(samples::empty())
    });
    let requests = [request(Digest::of(&samples::empty()))];
    let reports = fetch_with(&store, &skopeo, POLICY, &requests, (1, &cancel, &[]));
    assert!(reports[0].result.is_ok(), "{:?}", reports[0]);
}

#[test]
fn deadline_during_backoff_cancels_the_fetch() {
    let mut mock = MockSkopeo::new();
    mock.expect_run()
        .times(..=1)
        .returning(|_, _, _, _| failed("dial tcp: connect: connection refused"));
    let (_dir, store) = empty_cache();
    let deadline = Instant::now() + Duration::from_millis(500);
    let cancel = CancelToken::new(Some(deadline)).expect("a pipe");
    let options = SkopeoOptions::default();
    let executor = Executor {
        performer: Performer {
            store: &store,
            source: ByteSource::Skopeo(skopeo(&mock, &options)),
            verifiers: None,
            retry_delay: Duration::from_secs(60),
            cancel: &cancel,
        },
        policy: FetchPolicy {
            attempts: NonZeroU32::new(2).expect("two"),
            ..POLICY
        },
        jobs: NonZeroUsize::MIN,
        observers: &[],
    };
    let mut causes = Vec::new();
    executor.run(&[request(Digest::of(b""))], |report| {
        causes.push(cause(report).clone());
    });
    assert_eq!(causes, [cancelled(CancelReason::Deadline)]);
}
