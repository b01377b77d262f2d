//! Whole runs: many requests, several jobs, disks and registries with moods.

use std::num::NonZeroU32;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use test_support::loopback::samples;
use proptest::prelude::*;
use skopeo_index::fetch::backoff;
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{CommandLimits, CommandRunner, RunError};
use skopeo_index::store::{RealDisk, Seen, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{
    CancelReason, Cause, EffectError, FailureKind, FetchPolicy, Method, Provenance,
};
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::{CommandOutput, SkopeoCommand, SkopeoOptions};

use crate::stand_in::Faulty;
use crate::stand_in::Injected;
use crate::stand_in::MockSkopeo;
use crate::stand_in::PLAN;
use crate::stand_in::cache;
use crate::stand_in::failed;
use crate::stand_in::fetch;
use crate::stand_in::fetch_plainly;
use crate::stand_in::honest;
use crate::stand_in::printed;
use crate::stand_in::request;

fn named(name: &str, digest: Digest) -> Request {
    let tls_verify = TlsVerify::Unset;
    Request::new(
        name.parse().expect("a name"),
        Location::Docker { tls_verify },
        digest,
    )
}

#[test]
fn one_that_fails_stops_none_of_the_others() {
    let documents: Vec<_> = (0..9).map(samples::distinct).collect();
    let known = documents.iter().step_by(2).cloned().collect();
    let requests: Vec<_> = documents.iter().map(|d| request(Digest::of(d))).collect();
    let (_dir, store) = cache();
    let cancel = CancelToken::new(None).expect("a pipe");
    let reports = fetch(&store, &honest(known), PLAN, &requests, (3, &cancel, &[]));
    let well: Vec<_> = reports
        .expect("no halt")
        .iter()
        .map(|report| report.result.is_ok())
        .collect();
    assert_eq!(well, (0..9).map(|n| n % 2 == 0).collect::<Vec<_>>());
}

#[test]
fn two_names_for_one_digest_are_one_download_and_one_hit() {
    let (_dir, store) = cache();
    let digest = Digest::of(&samples::empty());
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| printed(samples::empty()));
    let requests = [named("quay.io/a", digest), named("quay.io/b", digest)];
    let reports = fetch_plainly(&store, &skopeo, PLAN, &requests).expect("no halt");
    let provenance = |at: usize| {
        reports[at]
            .result
            .as_ref()
            .expect("success")
            .provenance()
            .clone()
    };
    assert!(matches!(provenance(0), Provenance::Fetched { .. }));
    assert_eq!(provenance(1), Provenance::Hit);
}

#[test]
fn where_one_name_fails_the_other_is_asked() {
    let (_dir, store) = cache();
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
    let requests = [named("quay.io/a", digest), named("quay.io/b", digest)];
    let reports = fetch_plainly(&store, &skopeo, PLAN, &requests).expect("no halt");
    assert_eq!(
        [0, 1].map(|at: usize| reports[at].result.is_ok()),
        [false, true]
    );
}

/// A skopeo whose commands go on when as many run as there are jobs. (A mock's
/// run one after the other.)
struct Meeting {
    jobs: usize,
    counts: Mutex<Counts>,
    came: Condvar,
}

#[derive(Default)]
struct Counts {
    came: usize,
    gone: usize,
    most: usize,
}

impl CommandRunner for Meeting {
    fn run(
        &self,
        _: &SkopeoCommand<'_>,
        _: &SkopeoOptions,
        _: &CommandLimits<'_>,
        _: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        let mut counts = self.counts.lock().expect("no panic");
        counts.came += 1;
        counts.most = counts.most.max(counts.came - counts.gone);
        self.came.notify_all();
        let all = counts.came.next_multiple_of(self.jobs);
        let waited = self
            .came
            .wait_timeout_while(counts, FOR_EVER, |counts| counts.came < all);
        let (mut counts, late) = waited.expect("no panic");
        assert!(!late.timed_out(), "fewer run at once than there are jobs");
        counts.gone += 1;
        failed("manifest unknown")
    }
}

/// Longer than anything here takes.
const FOR_EVER: Duration = Duration::from_secs(60);

#[test]
fn as_many_commands_run_at_once_as_there_are_jobs_and_no_more() {
    // A multiple of each number of jobs, or the last would wait for nobody.
    let requests: Vec<_> = (0..36_u8).map(|n| request(Digest::of(&[n]))).collect();
    let cancel = CancelToken::new(None).expect("a pipe");
    for jobs in [1, 3, 4] {
        let meeting = Meeting {
            jobs,
            counts: Mutex::default(),
            came: Condvar::new(),
        };
        let (_dir, store) = cache();
        let reports = fetch(&store, &meeting, PLAN, &requests, (jobs, &cancel, &[]));
        assert_eq!(reports.expect("no halt").len(), requests.len());
        assert_eq!(meeting.counts.into_inner().expect("no panic").most, jobs);
    }
}

#[test]
fn who_stops_in_the_middle_keeps_what_is_there_and_starts_nothing_more() {
    let documents: Vec<_> = (0..4).map(samples::distinct).collect();
    let requests: Vec<_> = documents.iter().map(|d| request(Digest::of(d))).collect();
    let mut skopeo = MockSkopeo::new();
    let third = requests[2].digest();
    skopeo
        .expect_run()
        .times(3)
        .returning(move |command, _, _, cancel| match command {
            SkopeoCommand::InspectRaw(request) if request.digest() == third => {
                cancel.stop(CancelReason::Interrupted);
                Err(RunError::Cancelled(CancelReason::Interrupted))
            }
            SkopeoCommand::InspectRaw(request) => {
                let found = documents.iter().find(|d| Digest::of(d) == request.digest());
                printed(found.expect("a document").clone())
            }
            other => panic!("{other:?}"),
        });
    let (_dir, store) = cache();
    let reports = fetch_plainly(&store, &skopeo, PLAN, &requests).expect("no halt");
    let stopped = |cause: &Cause| {
        matches!(
            cause,
            Cause::EffectFailed {
                trouble: EffectError::Cancelled { .. }
            }
        )
    };
    assert!(reports[..2].iter().all(|report| report.result.is_ok()));
    assert!(reports[2..].iter().all(|report| {
        report
            .result
            .as_ref()
            .is_err_and(|failure| stopped(&failure.cause))
    }));
    assert_eq!(store.objects().expect("a list").len(), 2);
}

#[test]
fn a_storage_that_is_not_there_is_not_made() {
    let (dir, store) = cache();
    let nowhere = dir.path().join("storage");
    let location = nowhere
        .to_str()
        .expect("UTF-8")
        .parse()
        .expect("a location");
    let source = Location::ContainersStorage {
        location: Some(location),
    };
    let request = Request::new("app".parse().expect("a name"), source, Digest::of(b""));
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().never();
    for method in [Method::Raw, Method::SkopeoCopy] {
        let reports = fetch_plainly(
            &store,
            &skopeo,
            FetchPolicy { method, ..PLAN },
            std::slice::from_ref(&request),
        );
        let failure = reports
            .expect("no halt")
            .remove(0)
            .result
            .expect_err("a failure");
        let Cause::EffectFailed {
            trouble: EffectError::Command { class, .. },
        } = failure.cause
        else {
            panic!("{failure}")
        };
        assert_eq!(class, FailureKind::NotFound);
        assert!(!nowhere.exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..crate::regressions("proptest-regressions/runs.txt") })]

    #[test]
    fn a_fault_among_many_fetches_leaves_a_sound_cache(n in 1..60_usize, jobs in 1..4_usize, sort in 0..3_u8, copy: bool, corrupt in prop::collection::vec(any::<bool>(), 4)) {
        let documents: Vec<_> = (0..4).map(samples::distinct).collect();
        let requests: Vec<_> = documents.iter().map(|d| request(Digest::of(d))).collect();
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("cache");
        let sound = Store::new(root.clone(), RealDisk);
        std::fs::create_dir(&root).expect("a directory");
        for (request, _) in requests.iter().zip(&corrupt).filter(|(_, corrupt)| **corrupt) {
            std::fs::write(sound.object(request.digest()), "x").expect("a file");
        }
        let with = [Injected::Refusal(28), Injected::Refusal(5), Injected::Halt][usize::from(sort)];
        let faulty = Store::new(root, Faulty::new(n, with));
        let plan = FetchPolicy { method: if copy { Method::SkopeoCopy } else { Method::Raw }, attempts: NonZeroU32::MIN, ..PLAN };
        let cancel = CancelToken::new(None).expect("a pipe");
        let skopeo = honest(documents);
        let reports = fetch(&faulty, &skopeo, plan, &requests, (jobs, &cancel, &[]));
        let _may_fail_too = faulty.close();
        drop(faulty);

        let well = |at: usize| reports.as_ref().is_ok_and(|reports| reports[at].result.is_ok());
        for (at, request) in requests.iter().enumerate() {
            match sound.read(request.digest()).expect("a sound disk") {
                Seen::Bytes(bytes) if bytes == b"x" => prop_assert!(corrupt[at] && !well(at)),
                Seen::Bytes(bytes) => prop_assert!(Digest::of(&bytes) == request.digest() && Index::parse(&bytes).is_ok()),
                seen => prop_assert!(seen == Seen::Absent && !well(at), "{:?}", seen),
            }
        }
        sound.sweep().expect("a sound disk");
        let again = fetch_plainly(&sound, &skopeo, plan, &requests).expect("no halt");
        prop_assert!(again.iter().all(|report| report.result.is_ok()), "{:?}", again);
        sound.close().expect("a sound disk");
        prop_assert_eq!(sound.left_over().expect("a sound disk"), [""; 0]);
    }

    #[test]
    fn pauses_grow_to_a_minute_and_are_never_all_alike(first in 0..100_000_u64, attempt in 1..200_u32) {
        let paused = backoff(Duration::from_millis(first), attempt).as_millis();
        let whole = u128::from(first).saturating_mul(1 << (attempt - 1).min(40)).min(60_000);
        prop_assert!((whole / 2..=whole).contains(&paused), "{} of {}", paused, whole);
    }
}
