//! Single transitions, and what no sequence of outcomes may lead to.

use std::collections::HashSet;

use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{Index, NotAnIndex};
use skopeo_index_core::machine::{
    CacheEntry, CancelReason, Cause, ContentInfo, Effect, EffectError, Fetch, ManifestBytes,
    Outcome, Placement, Staging, State, Task,
};

use crate::samples::{ONE_ATTEMPT, all_outcomes, documents, request, tasks};

#[test]
fn wanted_effect_has_a_valid_outcome_in_every_state_that_is_not_final() {
    let mut open: Vec<Fetch> = tasks().into_iter().map(Fetch::new).collect();
    let mut seen = HashSet::new();
    while let Some(fetch) = open.pop() {
        let outcomes = all_outcomes().into_iter();
        let nexts: Vec<_> = outcomes
            .filter_map(|outcome| fetch.clone().step(outcome).ok())
            .collect();
        assert_eq!(fetch.wants().is_none(), nexts.is_empty(), "{fetch:?}");
        let nexts = nexts.into_iter().map(|(next, _)| next);
        open.extend(nexts.filter(|next| seen.insert(format!("{next:?}"))));
    }
}

#[test]
fn staging_is_kept_from_staged_to_the_end_of_the_fetch() {
    let mut open: Vec<(Fetch, Option<Staging>)> = tasks()
        .into_iter()
        .map(|task| (Fetch::new(task), None))
        .collect();
    let mut seen = HashSet::new();
    while let Some((fetch, staging)) = open.pop() {
        assert_eq!(fetch.staging(), staging.as_ref(), "{fetch:?}");
        for outcome in all_outcomes() {
            let reserved = match &outcome {
                Outcome::Staged { staging } => Some(staging.clone()),
                _ => staging.clone(),
            };
            if let Ok((next, _)) = fetch.clone().step(outcome)
                && seen.insert(format!("{next:?}"))
            {
                open.push((next, reserved));
            }
        }
    }
}

#[test]
fn oversized_object_fails_the_fetch_and_is_not_quarantined() {
    let (task, size) = (tasks().remove(0), 8 << 40);
    let entry = CacheEntry::Oversized { size };
    let (next, _) = Fetch::<ManifestBytes>::new(task)
        .step(Outcome::LookedUp { entry })
        .expect("a valid outcome");
    let reason = NotAnIndex::TooLarge { size };
    let failed = next.failed().expect("it can't be an index");
    assert_eq!(*failed.cause(), Cause::NotAnIndex { reason });
}

#[test]
fn corrupt_object_is_quarantined_each_time_it_is_found() {
    let task = tasks().remove(0);
    let content = ManifestBytes::from(documents()[1].clone());
    for entry in [CacheEntry::File { content }, CacheEntry::NotAFile] {
        let found = Outcome::LookedUp { entry };
        let (next, _) = Fetch::new(task.clone())
            .step(found.clone())
            .expect("a valid outcome");
        let wants = |fetch: &Fetch| matches!(fetch.wants(), Some(Effect::Quarantine { .. }));
        assert!(wants(&next), "{found:?}");
        // Another process may have put a corrupt object there again.
        let (again, _) = next.step(found).expect("a valid outcome");
        assert!(wants(&again), "{again:?}");
    }
}

#[test]
fn quarantined_name_is_kept_until_committed() {
    let content = ManifestBytes::from(documents()[0].clone());
    for (placement, known) in [
        (Placement::New, "q"),
        (Placement::AlreadyThere, "q"),
        (Placement::Replaced("r".into()), "r"),
    ] {
        let outcomes = [
            Outcome::LookedUp {
                entry: CacheEntry::NotAFile,
            },
            Outcome::Quarantined { name: "q".into() },
            Outcome::Staged {
                staging: Staging::new("s".into()),
            },
            Outcome::Fetched {
                content: content.clone(),
            },
            Outcome::Continued,
            Outcome::Continued,
            Outcome::Published {
                placement,
                read_back: CacheEntry::File {
                    content: content.clone(),
                },
            },
        ];
        let mut fetch = Fetch::new(tasks().remove(0));
        for (at, outcome) in outcomes.into_iter().enumerate() {
            fetch = fetch.step(outcome).expect("a valid outcome").0;
            let quarantined = match &fetch {
                Fetch::Pending(pending) => pending.quarantined(),
                Fetch::Staged(staged) => staged.quarantined(),
                Fetch::Committed(committed) => committed.quarantined(),
                _ => continue,
            };
            let expected = match at {
                0 => None,
                6 => Some(known),
                _ => Some("q"),
            };
            assert_eq!(quarantined, expected, "after {at}");
        }
        assert_eq!(fetch.state(), State::Committed);
    }
}

#[test]
fn failed_fetch_shows_request_and_cause() {
    let task = tasks().remove(0);
    let error = EffectError::Cancelled {
        reason: CancelReason::Deadline,
    };
    let shown = format!("{}: {error}", task.request);
    let (next, _) = Fetch::<ManifestBytes>::new(task)
        .step(Outcome::Failed { error })
        .expect("a valid outcome");
    let failed = next.failed().expect("a failure");
    assert_eq!(failed.to_string(), shown);
    assert_eq!(failed.state(), State::Pending);
}

#[test]
fn abandoned_fetch_fails_in_its_state_and_keeps_an_earlier_cause() {
    let error = || EffectError::AuditLog {
        error: "full".into(),
    };
    let mut open: Vec<Fetch> = tasks().into_iter().map(Fetch::new).collect();
    let mut seen = HashSet::new();
    while let Some(fetch) = open.pop() {
        let failed = fetch.clone().abandon(error());
        let expected = match fetch.failed() {
            Some(failed) => failed.clone(),
            None => {
                let cause = Cause::EffectFailed { error: error() };
                assert_eq!((failed.state(), failed.cause()), (fetch.state(), &cause));
                failed.clone()
            }
        };
        assert_eq!(failed, expected);
        assert_eq!(failed.attempts(), fetch.attempt());
        assert_eq!(
            Fetch::<ManifestBytes>::Failed(failed).staging(),
            fetch.staging()
        );
        let nexts = all_outcomes().into_iter();
        let nexts = nexts.filter_map(|outcome| fetch.clone().step(outcome).ok());
        open.extend(
            nexts
                .map(|(next, _)| next)
                .filter(|next| seen.insert(format!("{next:?}"))),
        );
    }
}

fn any_outcome() -> impl Strategy<Value = Outcome<ManifestBytes>> {
    prop::sample::select(all_outcomes())
}

proptest! {
    #![proptest_config(crate::support::property::config(2000, "machine-transitions.txt"))]

    #[test]
    fn committed_bytes_are_an_index_with_the_requested_digest(
        requested in 0..4_usize,
        outcomes in prop::collection::vec(any_outcome(), 0..40),
    ) {
        let digest = Digest::of(&documents()[requested]);
        let mut fetch = Fetch::new(Task { request: request(digest), policy: ONE_ATTEMPT, verifiers: 0 });
        let mut replayed = Fetch::<ContentInfo>::new(fetch.task().clone());
        for outcome in outcomes {
            let bytes = match &outcome {
                Outcome::LookedUp { entry: CacheEntry::File { content } }
                | Outcome::Published { read_back: CacheEntry::File { content }, .. } => Some(content.clone()),
                _ => None,
            };
            match fetch.step(outcome) {
                Ok((next, event)) => {
                    // What a log keeps is enough to decide the same.
                    let (again, same) = replayed.step(event.outcome.clone()).expect("a valid outcome");
                    prop_assert_eq!(same, event);
                    (fetch, replayed) = (next, again);
                }
                Err(refusal) => fetch = refusal.state,
            }
            if let Fetch::Committed(_) = &fetch {
                let bytes = bytes.expect("a commit needs the object's bytes");
                prop_assert_eq!(Digest::of(bytes.as_slice()), digest);
                prop_assert!(Index::parse(bytes.as_slice()).is_ok());
                break;
            }
        }
    }
}
