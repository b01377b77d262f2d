//! The loop around the machine.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use test_support::loopback::samples;
use skopeo_index::fetch::{FetchId, Observer, Transition, Veto};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::RunError;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    CancelReason, Cause, EffectError, Event, FailureKind, Fetch, FetchPolicy, ManifestBytes,
    Method, State, Task,
};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::SkopeoCommand;

use crate::stand_in::MockSkopeo;
use crate::stand_in::PLAN;
use crate::stand_in::cache;
use crate::stand_in::failed;
use crate::stand_in::fetch;
use crate::stand_in::fetch_plainly;
use crate::stand_in::honest;
use crate::stand_in::printed;
use crate::stand_in::request;

const THREE_ATTEMPTS: FetchPolicy = match NonZeroU32::new(3) {
    Some(attempts) => FetchPolicy { attempts, ..PLAN },
    None => PLAN,
};

#[test]
fn reports_come_in_the_order_of_the_requests_whatever_the_jobs() {
    let documents: Vec<_> = (0..40).map(samples::distinct).collect();
    let mut requests: Vec<Request> = documents.iter().map(|d| request(Digest::of(d))).collect();
    requests.extend_from_within(..10);
    let cancel = CancelToken::new(None).expect("a pipe");
    for jobs in [1, 3, 64] {
        let (_dir, store) = cache();
        let reports = fetch(
            &store,
            &honest(documents.clone()),
            PLAN,
            &requests,
            (jobs, &cancel, &[]),
        );
        let reports = reports.expect("no halt");
        assert!(reports.iter().map(|report| &report.request).eq(&requests));
        assert!(reports.iter().all(|report| report.result.is_ok()));
    }
}

#[test]
fn a_digest_asked_for_twice_is_fetched_once() {
    let (_dir, store) = cache();
    let document = samples::empty();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(1)
        .returning(move |_, _, _, _| printed(samples::empty()));
    let requests = vec![request(Digest::of(&document)); 5];
    let cancel = CancelToken::new(None).expect("a pipe");
    let reports = fetch(&store, &skopeo, PLAN, &requests, (4, &cancel, &[])).expect("no halt");
    assert_eq!(reports.len(), 5);
}

#[test]
fn a_transient_failure_is_tried_as_often_as_planned_and_no_more() {
    let (_dir, store) = cache();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(3)
        .returning(|_, _, _, _| failed("connection refused"));
    let reports = fetch_plainly(&store, &skopeo, THREE_ATTEMPTS, &[request(Digest::of(b""))]);
    let failure = reports
        .expect("no halt")
        .remove(0)
        .result
        .expect_err("a failure");
    assert!(
        matches!(failure.cause, Cause::RetriesExhausted { attempts: 3, .. }),
        "{failure}"
    );
}

#[test]
fn a_permanent_failure_is_not_tried_again() {
    let (_dir, store) = cache();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| failed("manifest unknown"));
    let reports = fetch_plainly(&store, &skopeo, THREE_ATTEMPTS, &[request(Digest::of(b""))]);
    let failure = reports
        .expect("no halt")
        .remove(0)
        .result
        .expect_err("a failure");
    let class = FailureKind::NotFound;
    assert!(
        matches!(failure.cause, Cause::EffectFailed { trouble: EffectError::Command { class: c, .. } } if c == class)
    );
}

#[test]
fn a_second_attempt_may_succeed() {
    let (_dir, store) = cache();
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().times(1).returning(|_, _, _, _| {
        Err(RunError::TimedOut {
            after: std::time::Duration::ZERO,
            stderr: Vec::new(),
        })
    });
    skopeo
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| printed(samples::empty()));
    let reports = fetch_plainly(
        &store,
        &skopeo,
        THREE_ATTEMPTS,
        &[request(Digest::of(&samples::empty()))],
    );
    assert_eq!(
        reports.expect("no halt")[0]
            .result
            .as_ref()
            .expect("success")
            .attempts(),
        2
    );
}

#[test]
fn many_attempts_to_copy_take_the_room_of_one() {
    let (_dir, store) = cache();
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
            let area = to.parent().expect("the process's directory");
            assert!(area.starts_with(&root));
            let entries = std::fs::read_dir(area).expect("it is there").flatten();
            let dirs = entries.filter(|entry| entry.path().is_dir());
            assert_eq!(dirs.count(), 1);
            failed("connection refused")
        });
    let plan = FetchPolicy {
        method: Method::SkopeoCopy,
        ..THREE_ATTEMPTS
    };
    let reports = fetch_plainly(&store, &skopeo, plan, &[request(Digest::of(b""))]);
    assert!(reports.expect("no halt")[0].result.is_err());
}

#[test]
fn both_methods_verify_what_they_bring() {
    for method in [Method::Raw, Method::SkopeoCopy] {
        let (_dir, store) = cache();
        let document = samples::oci_index(2);
        let plan = FetchPolicy { method, ..PLAN };
        let requests = [request(Digest::of(&document))];
        let reports = fetch_plainly(&store, &honest(vec![document.clone()]), plan, &requests);
        assert!(reports.expect("no halt")[0].result.is_ok());
        assert_eq!(
            std::fs::read(store.object(Digest::of(&document))).expect("it"),
            document
        );
    }
}

#[test]
fn skopeos_word_is_not_enough_and_its_dissent_is() {
    // It says the digest is right, and it isn't; it says it is wrong, and it isn't.
    let (asked, brought) = (Digest::of(&samples::empty()), samples::oci_index(1));
    for (document, opinion) in [(brought, asked), (samples::empty(), Digest::of(b"another"))] {
        let (_dir, store) = cache();
        let mut skopeo = MockSkopeo::new();
        skopeo
            .expect_run()
            .returning(move |command, _, _, _| match command {
                skopeo_index::skopeo::Command::CopyIndex { to, .. } => {
                    std::fs::write(to.join("manifest.json"), &document).expect("a file");
                    printed("")
                }
                skopeo_index::skopeo::Command::InspectDir { .. } => printed(document.clone()),
                _ => printed(opinion.to_string()),
            });
        let plan = FetchPolicy {
            method: Method::SkopeoCopy,
            ..PLAN
        };
        let reports = fetch_plainly(&store, &skopeo, plan, &[request(asked)]).expect("no halt");
        let failure = reports[0].result.as_ref().expect_err("a failure");
        assert_eq!(failure.at, State::Inspected);
        assert!(store.objects().expect("a list").is_empty());
    }
}

#[test]
fn a_run_that_is_told_to_stop_asks_nobody_and_reports_all() {
    let (_dir, store) = cache();
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().never();
    let cancel = CancelToken::new(None).expect("a pipe");
    cancel.stop(CancelReason::HungUp);
    let requests: Vec<_> = (0..3_u8).map(|n| request(Digest::of(&[n]))).collect();
    let reports = fetch(&store, &skopeo, PLAN, &requests, (2, &cancel, &[])).expect("no halt");
    assert_eq!(reports.len(), 3);
    for report in reports {
        let cause = report.result.expect_err("a failure").cause;
        assert_eq!(
            cause,
            Cause::EffectFailed {
                trouble: EffectError::Cancelled {
                    why: CancelReason::HungUp
                }
            }
        );
    }
}

/// Can't keep the record of a state.
struct Full(State);

impl Observer for Full {
    fn transition(&self, _: FetchId, _: &Request, step: &Transition) -> Result<(), Veto> {
        if step.event.to == self.0 {
            Err(Veto("disk full".into()))
        } else {
            Ok(())
        }
    }
}

#[test]
fn nothing_is_published_or_called_a_success_without_its_record() {
    for state in State::ALL {
        let (_dir, store) = cache();
        let document = samples::empty();
        let cancel = CancelToken::new(None).expect("a pipe");
        let requests = [request(Digest::of(&document))];
        let full = Full(state);
        let skopeo = honest(vec![document.clone()]);
        let reports =
            fetch(&store, &skopeo, PLAN, &requests, (1, &cancel, &[&full])).expect("no halt");
        let result = &reports[0].result;
        assert_eq!(
            result.is_ok(),
            state == State::Failed,
            "{state}: {result:?}"
        );
        let kept = !store.objects().expect("a list").is_empty();
        assert_eq!(
            kept,
            matches!(state, State::Committed | State::Failed),
            "{state}"
        );
    }
}

/// Keeps all events.
#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Observer for Events {
    fn transition(&self, _: FetchId, _: &Request, step: &Transition) -> Result<(), Veto> {
        self.0.lock().expect("no panic").push(step.event.clone());
        Ok(())
    }
}

#[test]
fn what_was_recorded_replays_to_the_same_states() {
    for document in [samples::empty(), samples::single_image(), b"{".to_vec()] {
        let (_dir, store) = cache();
        let events = Events::default();
        let cancel = CancelToken::new(None).expect("a pipe");
        let request = request(Digest::of(&document));
        let skopeo = honest(vec![document.clone()]);
        for _hit_the_second_time in 0..2 {
            events.0.lock().expect("no panic").clear();
            fetch(
                &store,
                &skopeo,
                PLAN,
                std::slice::from_ref(&request),
                (1, &cancel, &[&events]),
            )
            .expect("no halt");
            let mut replayed = Fetch::new(Task {
                request: request.clone(),
                plan: PLAN,
            });
            for event in events.0.lock().expect("no panic").iter() {
                let json = serde_json::to_string(event).expect("JSON");
                let read: Event = serde_json::from_str(&json).expect("an event");
                assert_eq!(&read, event);
                let (next, again) = replayed.step(read.outcome).expect("the same machine");
                assert_eq!(&again, event);
                replayed = next;
            }
            assert!(replayed.wants().is_none(), "it has ended");
        }
    }
}

#[test]
fn bytes_are_shown_by_their_number_only() {
    assert_eq!(format!("{:?}", ManifestBytes::from(vec![0; 5])), "5 bytes");
}

#[test]
fn what_skopeo_writes_is_bounded_where_it_writes() {
    let (_dir, store) = cache();
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .times(1)
        .returning(|command, _, limits, _| {
            let SkopeoCommand::CopyIndex { to, .. } = command else {
                panic!("{command:?}")
            };
            assert_eq!(limits.writes_to, Some(*to));
            failed("manifest unknown")
        });
    let plan = FetchPolicy {
        method: Method::SkopeoCopy,
        ..PLAN
    };
    let reports = fetch_plainly(&store, &skopeo, plan, &[request(Digest::of(b""))]);
    assert!(reports.expect("no halt")[0].result.is_err());
}

#[test]
fn what_is_verified_when_it_is_told_to_stop_is_finished() {
    let (_dir, store) = cache();
    let cancel = Arc::new(CancelToken::new(None).expect("a pipe"));
    let stop = Arc::clone(&cancel);
    let mut skopeo = MockSkopeo::new();
    skopeo.expect_run().times(1).returning(move |_, _, _, _| {
        stop.stop(CancelReason::Interrupted);
        printed(samples::empty())
    });
    let requests = [request(Digest::of(&samples::empty()))];
    let reports = fetch(&store, &skopeo, PLAN, &requests, (1, &cancel, &[])).expect("no halt");
    assert!(reports[0].result.is_ok(), "{:?}", reports[0]);
}
