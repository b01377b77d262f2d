//! Many fetches at once: order of reports, number of jobs, independence.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use skopeo_index::command::{CommandLimits, RunError};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::CommandRunner;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::{CommandOutput, SkopeoCommand, SkopeoOptions};
use test_support::loopback::samples;
use test_support::program::fakes::{
    POLICY, empty_cache, failed, fetch_with, never_cancelled, request, skopeo_with,
};

#[test]
fn reports_any_number_of_jobs_are_in_the_order_of_requests() {
    let documents: Vec<_> = (0..40).map(samples::distinct).collect();
    let mut requests: Vec<Request> = documents.iter().map(|d| request(Digest::of(d))).collect();
    requests.extend_from_within(..10);
    let cancel = never_cancelled();
    for jobs in [1, 3, 64] {
        let (_dir, store) = empty_cache();
        let skopeo = skopeo_with(documents.clone());
        let reports = fetch_with(&store, &skopeo, POLICY, &requests, (jobs, &cancel, &[]));
        assert!(reports.iter().map(|report| &report.request).eq(&requests));
        assert!(reports.iter().all(|report| report.result.is_ok()));
    }
}

#[test]
fn failed_fetch_does_not_stop_the_others() {
    let documents: Vec<_> = (0..9).map(samples::distinct).collect();
    let known = documents.iter().step_by(2).cloned().collect();
    let requests: Vec<_> = documents.iter().map(|d| request(Digest::of(d))).collect();
    let ((_dir, store), cancel) = (empty_cache(), never_cancelled());
    let skopeo = skopeo_with(known);
    let reports = fetch_with(&store, &skopeo, POLICY, &requests, (3, &cancel, &[]));
    let succeeded = reports.iter().map(|report| report.result.is_ok());
    assert!(succeeded.eq((0..9).map(|n| n % 2 == 0)));
}

/// A skopeo whose commands return once as many run as there are jobs. (A mock runs one
/// after the other.)
struct Barrier {
    jobs: usize,
    counts: Mutex<Counts>,
    arrived: Condvar,
}

#[derive(Default)]
struct Counts {
    begun: usize,
    ended: usize,
    /// The most that ran at once.
    most: usize,
}

/// More time than any command takes here.
const TIMEOUT: Duration = Duration::from_secs(60);

impl CommandRunner for Barrier {
    fn run(
        &self,
        _: &SkopeoCommand<'_>,
        _: &SkopeoOptions,
        _: &CommandLimits<'_>,
        _: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        let mut counts = self.counts.lock().expect("no panic");
        counts.begun += 1;
        counts.most = counts.most.max(counts.begun - counts.ended);
        self.arrived.notify_all();
        let all = counts.begun.next_multiple_of(self.jobs);
        let waited = self
            .arrived
            .wait_timeout_while(counts, TIMEOUT, |counts| counts.begun < all);
        let (mut counts, timeout) = waited.expect("no panic");
        assert!(
            !timeout.timed_out(),
            "fewer run at once than there are jobs"
        );
        counts.ended += 1;
        failed("manifest unknown")
    }
}

#[test]
fn concurrent_commands_are_as_many_as_jobs() {
    // A multiple of each number of jobs, or the last commands would wait in vain.
    let requests: Vec<_> = (0..36_u8).map(|n| request(Digest::of(&[n]))).collect();
    let cancel = never_cancelled();
    for jobs in [1, 3, 4] {
        let barrier = Barrier {
            jobs,
            counts: Mutex::default(),
            arrived: Condvar::new(),
        };
        let (_dir, store) = empty_cache();
        let reports = fetch_with(&store, &barrier, POLICY, &requests, (jobs, &cancel, &[]));
        assert_eq!(reports.len(), requests.len());
        assert_eq!(barrier.counts.into_inner().expect("no panic").most, jobs);
    }
}
