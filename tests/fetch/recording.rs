//! Observers see every transition, and may veto it.

use std::sync::Mutex;
use std::time::Duration;

use skopeo_index::fetch::{FetchId, Observer, Transition, Veto};
use skopeo_index::verifier::VerifierPrograms;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Cause, EffectError, Event, Fetch, ManifestBytes, State, Task};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::SkopeoOptions;
use test_support::audit_log::sample;
use test_support::loopback::samples;
use test_support::program::fakes::{
    POLICY, empty_cache, fetch_verified, fetch_with, never_cancelled, request, skopeo_with,
};

fn disk_full() -> EffectError {
    EffectError::AuditLog {
        error: "disk full".to_owned(),
    }
}

/// Vetoes transitions to a state.
struct VetoState(State);

impl Observer for VetoState {
    fn transition(&self, _: FetchId, _: &Request, transition: &Transition) -> Result<(), Veto> {
        if transition.event.to == self.0 {
            return Err(Veto(disk_full()));
        }
        Ok(())
    }
}

#[test]
fn vetoed_transition_fails_the_fetch_and_publishes_nothing_before_committed() {
    for &state in State::ALL {
        let (_dir, store) = empty_cache();
        let document = samples::empty();
        let requests = [request(Digest::of(&document))];
        let (cancel, veto) = (never_cancelled(), VetoState(state));
        let skopeo = skopeo_with(vec![document]);
        let how = (1, &cancel, &[&veto as &dyn Observer][..]);
        let verifiers = VerifierPrograms::find(
            sample::verifiers(&[&["true"]]),
            Duration::from_secs(60),
            SkopeoOptions::default(),
        );
        let verifiers = verifiers.expect("a program");
        let reports = fetch_verified(&store, &skopeo, POLICY, &requests, how, Some(&verifiers));
        let result = &reports[0].result;
        assert_eq!(
            result.is_ok(),
            state == State::Failed,
            "{state}: {result:?}"
        );
        if let Err(failed) = result {
            let error = disk_full();
            assert_eq!(failed.cause(), &Cause::EffectFailed { error }, "{state}");
        }
        let is_published = !store.objects().expect("a list").is_empty();
        assert_eq!(
            is_published,
            matches!(state, State::Committed | State::Failed),
            "{state}"
        );
    }
}

/// Keeps all events.
#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Observer for Events {
    fn transition(&self, _: FetchId, _: &Request, transition: &Transition) -> Result<(), Veto> {
        let mut events = self.0.lock().expect("no panic");
        events.push(transition.event.clone());
        Ok(())
    }
}

#[test]
fn recorded_events_replay_to_the_same_states() {
    for document in [samples::empty(), samples::single_image(), b"{".to_vec()] {
        let (_dir, store) = empty_cache();
        let (events, cancel) = (Events::default(), never_cancelled());
        let requests = [request(Digest::of(&document))];
        let skopeo = skopeo_with(vec![document.clone()]);
        // An index is fetched, and then a hit.
        for _ in 0..2 {
            events.0.lock().expect("no panic").clear();
            let how = (1, &cancel, &[&events as &dyn Observer][..]);
            fetch_with(&store, &skopeo, POLICY, &requests, how);
            let mut replayed = Fetch::new(Task {
                request: requests[0].clone(),
                policy: POLICY,
                verifiers: 0,
            });
            for event in events.0.lock().expect("no panic").iter() {
                let json = serde_json::to_string(event).expect("JSON");
                let parsed: Event = serde_json::from_str(&json).expect("an event");
                assert_eq!(&parsed, event);
                let (next, again) = replayed.step(parsed.outcome).expect("the same machine");
                assert_eq!(&again, event);
                replayed = next;
            }
            assert!(replayed.wants().is_none(), "it has ended");
        }
    }
}

#[test]
fn manifest_bytes_debug_output_is_their_size() {
    assert_eq!(format!("{:?}", ManifestBytes::from(vec![0; 5])), "5 bytes");
}
