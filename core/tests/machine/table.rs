//! `step` against the transition table.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU32;

use test_support::loopback::samples;
use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::NotAnIndex;
use skopeo_index_core::machine::{
    CancelReason, Cause, ContentInfo, Effect, EffectError, FailureKind, Fetch, FetchPolicy,
    ManifestBytes, Method, Network, Outcome, OutcomeKind, Placement, Staging, State, TABLE, Task,
};

use crate::stand_in::PLAN;
use crate::stand_in::request;

/// Documents: an index, another one, an image, no JSON.
fn documents() -> [Vec<u8>; 4] {
    [
        samples::oci_index(1),
        samples::docker_list(1),
        samples::single_image(),
        b"{".to_vec(),
    ]
}

/// Every sort of every outcome. A new variant doesn't compile here until it has
/// its examples.
fn outcomes(kind: OutcomeKind) -> Vec<Outcome<ManifestBytes>> {
    let contents = || documents().into_iter().map(ManifestBytes::from);
    let digests = || documents().map(|document| Digest::of(&document));
    match kind {
        OutcomeKind::Absent => vec![Outcome::Absent],
        OutcomeKind::Found => contents()
            .map(|content| Outcome::Found { content })
            .collect(),
        OutcomeKind::Oversized => digests()
            .map(|digest| Outcome::FoundOversized {
                digest,
                size: 5 << 20,
            })
            .to_vec(),
        OutcomeKind::NotAFile => vec![Outcome::FoundNotAFile],
        OutcomeKind::Quarantined => vec![Outcome::Quarantined { name: "q".into() }],
        OutcomeKind::Staged => vec![Outcome::Staged {
            at: Staging::new("s".into()),
        }],
        OutcomeKind::Fetched => contents()
            .map(|content| Outcome::Fetched { content })
            .collect(),
        OutcomeKind::CopyRead => contents()
            .map(|content| Outcome::CopyRead { content })
            .collect(),
        OutcomeKind::ManifestDigest => digests()
            .map(|d| Outcome::ManifestDigest {
                digest: d.to_string(),
            })
            .to_vec(),
        OutcomeKind::Continued => vec![Outcome::Continued],
        OutcomeKind::BackoffElapsed => vec![Outcome::BackoffElapsed],
        OutcomeKind::Published => contents()
            .map(|content| Outcome::Published {
                content,
                placed: Placement::New,
            })
            .collect(),
        OutcomeKind::Failed => {
            let command = |class| EffectError::Command {
                class,
                message: "m".into(),
            };
            [
                command(FailureKind::Network),
                command(FailureKind::NotFound),
                EffectError::Cancelled {
                    why: CancelReason::Deadline,
                },
            ]
            .map(|trouble| Outcome::Failed { trouble })
            .to_vec()
        }
    }
}

/// Every sort of task.
fn tasks() -> Vec<Task> {
    let mut tasks = Vec::new();
    for document in documents() {
        for method in [Method::Raw, Method::SkopeoCopy] {
            for network in [Network::Allowed, Network::Offline] {
                for attempts in [1, 2] {
                    let attempts = NonZeroU32::new(attempts).expect("not zero");
                    let plan = FetchPolicy {
                        method,
                        attempts,
                        network,
                    };
                    tasks.push(Task {
                        request: request(Digest::of(&document)),
                        plan,
                    });
                }
            }
        }
    }
    tasks
}

#[test]
fn step_does_what_the_table_says_and_nothing_else() {
    let (mut seen, mut made) = (HashSet::new(), BTreeSet::new());
    let mut refused = BTreeSet::new();
    let mut open: Vec<Fetch> = tasks().into_iter().map(Fetch::new).collect();
    while let Some(fetch) = open.pop() {
        for kind in OutcomeKind::ALL {
            for outcome in outcomes(kind) {
                assert_eq!(outcome.kind(), kind);
                match fetch.clone().step(outcome.clone()) {
                    Ok((next, event)) => {
                        crate::assert_in_order(&event);
                        assert_eq!((event.from, event.to), (fetch.state(), next.state()));
                        assert_eq!(event.cause.is_some(), next.state() == State::Failed);
                        made.insert((fetch.state(), kind, next.state()));
                        if seen.insert(format!("{next:?}")) {
                            open.push(next);
                        }
                    }
                    Err(back) => {
                        assert_eq!((back.state, back.outcome), (fetch.clone(), outcome));
                        refused.insert((fetch.state(), kind));
                    }
                }
            }
        }
    }
    let table: BTreeSet<_> = TABLE.iter().map(|row| (row.from, row.on, row.to)).collect();
    assert_eq!(made, table);
    for state in [State::Committed, State::Failed] {
        assert!(
            OutcomeKind::ALL
                .iter()
                .all(|kind| refused.contains(&(state, *kind))),
            "{state} is an end"
        );
    }
    let reached: BTreeSet<_> = made.iter().flat_map(|(from, _, to)| [*from, *to]).collect();
    assert_eq!(reached, State::ALL.into_iter().collect());
}

#[test]
fn every_row_of_the_table_is_there_once() {
    let rows: HashSet<_> = TABLE
        .iter()
        .map(|row| (row.from, row.on, row.when))
        .collect();
    assert_eq!(rows.len(), TABLE.len());
}

#[test]
fn what_a_state_wants_it_can_use() {
    let mut open: Vec<Fetch> = tasks().into_iter().map(Fetch::new).collect();
    let mut seen = HashSet::new();
    while let Some(fetch) = open.pop() {
        let taken = OutcomeKind::ALL
            .into_iter()
            .flat_map(outcomes)
            .filter_map(|o| fetch.clone().step(o).ok());
        let taken: Vec<_> = taken.collect();
        assert_eq!(fetch.wants().is_none(), taken.is_empty(), "{fetch:?}");
        open.extend(
            taken
                .into_iter()
                .map(|(next, _)| next)
                .filter(|n| seen.insert(format!("{n:?}"))),
        );
    }
}

#[test]
fn an_object_larger_than_any_index_is_moved_aside_only_if_it_is_corrupt() {
    let task = tasks().remove(0);
    let (right, size) = (task.request.digest(), 5 << 20);
    for (digest, corrupt) in [(right, false), (Digest::of(b"other"), true)] {
        let found = Outcome::FoundOversized { digest, size };
        let (next, _) = Fetch::<ManifestBytes>::new(task.clone())
            .step(found)
            .expect("it is looked up");
        let quarantines = matches!(next.wants(), Some(Effect::Quarantine { .. }));
        let why = NotAnIndex::TooLarge { size };
        let told = next
            .failed()
            .is_some_and(|failed| *failed.cause() == Cause::NotAnIndex { why });
        assert_eq!((quarantines, told), (corrupt, !corrupt));
    }
}

#[test]
fn whatever_is_corrupt_is_to_be_moved_aside_next() {
    let task = tasks().remove(0);
    let content = ManifestBytes::from(documents()[1].clone());
    for found in [Outcome::Found { content }, Outcome::FoundNotAFile] {
        let (next, _) = Fetch::new(task.clone())
            .step(found.clone())
            .expect("it is looked up");
        let wants = |fetch: &Fetch| matches!(fetch.wants(), Some(Effect::Quarantine { .. }));
        assert!(wants(&next), "{found:?}");
        let (again, _) = next.step(found).expect("somebody put it there again");
        assert!(wants(&again), "{again:?}");
    }
}

#[test]
fn where_a_corrupt_object_went_is_known_until_the_end() {
    let content = ManifestBytes::from(documents()[0].clone());
    for (placed, known) in [
        (Placement::New, "q"),
        (Placement::AlreadyThere, "q"),
        (Placement::Replaced("r".into()), "r"),
    ] {
        let outcomes = [
            Outcome::FoundNotAFile,
            Outcome::Quarantined { name: "q".into() },
            Outcome::Staged {
                at: Staging::new("s".into()),
            },
            Outcome::Fetched {
                content: content.clone(),
            },
            Outcome::Continued,
            Outcome::Continued,
            Outcome::Published {
                content: content.clone(),
                placed,
            },
        ];
        let mut fetch = Fetch::new(tasks().remove(0));
        for (at, outcome) in outcomes.into_iter().enumerate() {
            fetch = fetch.step(outcome).expect("what is wanted").0;
            let told = match &fetch {
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
            assert_eq!(told, expected, "after {at}");
        }
        assert_eq!(fetch.state(), State::Committed);
    }
}

#[test]
fn a_failure_says_what_failed_where_and_why() {
    let task = tasks().remove(0);
    let trouble = EffectError::Cancelled {
        why: CancelReason::Deadline,
    };
    let shown = format!("{}: failed in state Pending: {trouble}", task.request);
    let (next, _) = Fetch::<ManifestBytes>::new(task)
        .step(Outcome::Failed { trouble })
        .expect("trouble is taken");
    assert_eq!(next.failed().map(ToString::to_string), Some(shown));
}

fn any_outcome() -> impl Strategy<Value = Outcome<ManifestBytes>> {
    let all: Vec<_> = OutcomeKind::ALL.into_iter().flat_map(outcomes).collect();
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..crate::regressions("proptest-regressions/machine.txt") })]

    #[test]
    fn only_an_index_with_its_digest_is_committed(
        asked in 0..4_usize,
        outcomes in prop::collection::vec(any_outcome(), 0..40),
    ) {
        let digest = Digest::of(&documents()[asked]);
        let mut fetch = Fetch::new(Task { request: request(digest), plan: PLAN });
        let mut replayed = Fetch::<ContentInfo>::new(fetch.task().clone());
        for outcome in outcomes {
            let brought = match &outcome {
                Outcome::Found { content } | Outcome::Published { content, .. } => Some(content.clone()),
                _ => None,
            };
            match fetch.step(outcome) {
                Ok((next, event)) => {
                    // What a log keeps is enough to decide the same.
                    let (again, same) = replayed.step(event.outcome.clone()).expect("the same machine");
                    prop_assert_eq!(same, event);
                    (fetch, replayed) = (next, again);
                }
                Err(back) => fetch = back.state,
            }
            if let Fetch::Committed(_) = &fetch {
                let brought = brought.expect("bytes");
                prop_assert_eq!(Digest::of(brought.as_slice()), digest);
                prop_assert!(skopeo_index::index::Index::parse(brought.as_slice()).is_ok());
                break;
            }
        }
    }
}
