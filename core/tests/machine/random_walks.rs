//! Random walks through the machine: each step answers the wanted effect with any
//! outcome that it may have.

use std::num::NonZeroU32;

use crate::support::samples;
use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{
    CacheEntry, CancelReason, Cause, ContentInfo, Effect, EffectError, Event, Failed, FailureKind,
    Fetch, FetchPolicy, ManifestBytes, Method, Network, Outcome, Placement, Staging, State, Task,
};

use crate::samples::request;

/// More steps than a walk takes, unless it finds corrupt objects without end.
const STEPS_MAX: usize = 60;

fn document(choice: u8) -> Vec<u8> {
    match choice % 8 {
        0..4 => samples::oci_index(1),
        4 => samples::docker_list(1),
        5 => samples::single_image(),
        6 => samples::both_at_once(),
        _ => b"{".to_vec(),
    }
}

fn error(choice: u8) -> EffectError {
    let kind = match choice % 8 {
        0 => FailureKind::Network,
        1 => FailureKind::Timeout,
        2 => FailureKind::Server,
        3 => FailureKind::RateLimited,
        4 => FailureKind::NotFound,
        5 => FailureKind::Other,
        _ => {
            return EffectError::Cancelled {
                reason: CancelReason::Interrupted,
            };
        }
    };
    let message = "m".to_owned();
    EffectError::Command { kind, message }
}

/// An outcome that an effect may have, mostly a good one.
fn outcome(effect: &Effect<'_, ManifestBytes>, sort: u8, choice: u8) -> Outcome<ManifestBytes> {
    let content = || ManifestBytes::from(document(choice));
    if sort % 8 == 7 {
        let error = error(choice);
        return Outcome::Failed { error };
    }
    let looked_up = |entry| Outcome::LookedUp { entry };
    match effect {
        Effect::LookUp { .. } | Effect::Quarantine { .. } => match (sort % 8, effect) {
            (0, _) => looked_up(CacheEntry::File { content: content() }),
            (1, _) => looked_up(CacheEntry::NotAFile),
            (2, _) => looked_up(CacheEntry::Oversized { size: 5 << 20 }),
            (_, Effect::Quarantine { .. }) => Outcome::Quarantined {
                name: format!("q.{choice}"),
            },
            _ => looked_up(CacheEntry::Absent),
        },
        Effect::Stage => Outcome::Staged {
            staging: Staging::new("s/0".into()),
        },
        Effect::Fetch { .. } if sort.is_multiple_of(2) => Outcome::Failed {
            error: error(choice % 4),
        },
        Effect::Fetch { .. } => Outcome::Fetched { content: content() },
        Effect::ReadCopy { .. } => Outcome::CopyRead { content: content() },
        Effect::ManifestDigest { .. } => Outcome::ManifestDigest {
            digest: Digest::of(&document(choice)).to_string(),
        },
        Effect::Backoff { .. } => Outcome::BackoffElapsed,
        Effect::Authenticate { .. } => Outcome::VerifierExited {
            message: "m".to_owned(),
            status: i32::from(sort % 4 == 3),
        },
        Effect::Continue => Outcome::Continued,
        Effect::Publish {
            content: verified, ..
        } if !sort.is_multiple_of(4) => Outcome::Published {
            placement: Placement::New,
            read_back: CacheEntry::File {
                content: (*verified).clone(),
            },
        },
        Effect::Publish { .. } => Outcome::Published {
            placement: Placement::Replaced("q.p".into()),
            read_back: match choice % 16 {
                13 => CacheEntry::Absent,
                14 => CacheEntry::NotAFile,
                15 => CacheEntry::Oversized { size: 5 << 20 },
                _ => CacheEntry::File { content: content() },
            },
        },
    }
}

/// A walk: its events, the attempts that were wanted, the bytes that outcomes had, its end.
struct Walk {
    task: Task,
    fetches: Vec<u32>,
    backoffs: Vec<u32>,
    files: Vec<ManifestBytes>,
    quarantined: Option<String>,
    events: Vec<Event>,
    end: Fetch,
}

fn walk(task: Task, choices: &[(u8, u8)]) -> Walk {
    let mut walk = Walk {
        end: Fetch::new(task.clone()),
        task,
        fetches: Vec::new(),
        backoffs: Vec::new(),
        files: Vec::new(),
        quarantined: None,
        events: Vec::new(),
    };
    for (sort, choice) in choices {
        let Some(effect) = walk.end.wants() else {
            break;
        };
        match &effect {
            Effect::Fetch { attempt, .. } => walk.fetches.push(*attempt),
            Effect::Backoff { attempt } => walk.backoffs.push(*attempt),
            _ => {}
        }
        let outcome = outcome(&effect, *sort, *choice);
        match &outcome {
            Outcome::LookedUp {
                entry: CacheEntry::File { content },
            }
            | Outcome::Published {
                read_back: CacheEntry::File { content },
                ..
            } => walk.files.push(content.clone()),
            Outcome::Quarantined { name } => walk.quarantined = Some(name.clone()),
            _ => {}
        }
        let (next, event) = walk.end.clone().step(outcome).expect("a valid outcome");
        assert_eq!(next.task(), &walk.task);
        walk.events.push(event);
        walk.end = next;
    }
    walk
}

fn task() -> impl Strategy<Value = Task> {
    let method = prop::sample::select(vec![Method::Raw, Method::SkopeoCopy]);
    let network = prop_oneof![9 => Just(Network::Allowed), 1 => Just(Network::Offline)];
    (0..4_u32, method, network, 0..4_u8).prop_map(|(more, method, network, verifiers)| Task {
        request: request(Digest::of(&document(0))),
        policy: FetchPolicy {
            method,
            attempts: NonZeroU32::MIN.saturating_add(more),
            network,
        },
        verifiers,
    })
}

fn choices() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec(any::<(u8, u8)>(), STEPS_MAX)
}

proptest! {
    #![proptest_config(crate::support::property::config(2000, "machine-random-walks.txt"))]

    #[test]
    fn committed_object_is_the_last_file_seen_and_the_requested_index(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        if let Fetch::Committed(committed) = &walk.end {
            let last = walk.files.last().expect("bytes").as_slice();
            prop_assert_eq!(Digest::of(last), walk.task.request.digest());
            prop_assert_eq!(&Index::parse(last).expect("an index").summary(), committed.index());
            prop_assert_eq!(committed.size(), last.len() as u64);
        }
    }

    #[test]
    fn committed_object_has_the_approval_of_each_verifier(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        let exits = walk.events.iter().filter_map(|event| match event.outcome {
            Outcome::VerifierExited { status, .. } => Some(status),
            _ => None,
        });
        let exits: Vec<i32> = exits.collect();
        if walk.end.state() == State::Committed {
            prop_assert_eq!(exits, vec![0; usize::from(walk.task.verifiers)]);
        } else {
            prop_assert!(exits.len() <= usize::from(walk.task.verifiers));
            let refused = walk.end.failed().is_some_and(|failed| matches!(failed.cause(), Cause::RefusedByVerifier { .. }));
            prop_assert_eq!(exits.iter().any(|status| *status != 0), refused);
        }
    }

    #[test]
    fn committed_fetch_names_the_quarantined_object(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        if let (Fetch::Committed(committed), Some(Event { outcome: Outcome::Published { placement, .. }, .. })) = (&walk.end, walk.events.last()) {
            let expected = match placement {
                Placement::Replaced(name) => Some(name.as_str()),
                _ => walk.quarantined.as_deref(),
            };
            prop_assert_eq!(committed.quarantined(), expected);
        }
    }

    #[test]
    fn attempts_count_from_1_up_to_the_maximum_of_the_policy(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        let counted: Vec<u32> = (1..).take(walk.fetches.len()).collect();
        prop_assert_eq!(&walk.fetches, &counted);
        prop_assert!(walk.fetches.len() <= walk.task.policy.attempts.get() as usize);
        // One backoff between two attempts, none before the first or after the last.
        prop_assert!(walk.backoffs.iter().eq(&counted[..walk.backoffs.len()]));
        prop_assert!(walk.backoffs.len() <= walk.fetches.len() && walk.fetches.len() <= walk.backoffs.len() + 1);
        let last = walk.fetches.last().copied().unwrap_or(0);
        let ended_hit = walk.end.state() == State::Committed && walk.fetches.is_empty();
        prop_assert!(walk.end.attempt() == last || ended_hit || walk.end.state() == State::Staged, "{:?}", walk.end);
    }

    #[test]
    fn only_transient_failures_are_retried(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        for event in &walk.events {
            let Outcome::Failed { error } = &event.outcome else { continue };
            let retried = event.from == State::Staged && error.is_transient() && event.attempt < walk.task.policy.attempts.get();
            let in_backoff = walk.backoffs.contains(&event.attempt);
            if event.to == State::Failed {
                prop_assert!(!retried || in_backoff, "{:?}", event);
            } else {
                prop_assert!(retried, "{:?}", event);
            }
        }
    }

    #[test]
    fn offline_fetch_never_stages_or_fetches(mut task in task(), choices in choices()) {
        task.policy.network = Network::Offline;
        let walk = walk(task, &choices);
        prop_assert!(walk.fetches.is_empty());
        prop_assert!(!walk.events.iter().any(|event| event.to == State::Staged));
        let absent = walk.events.iter().any(|event| matches!(event.outcome, Outcome::LookedUp { entry: CacheEntry::Absent } | Outcome::Quarantined { .. }));
        let failed_offline = walk.end.failed().is_some_and(|failed| matches!(failed.cause(), Cause::Offline { .. }));
        prop_assert_eq!(absent, failed_offline);
    }

    #[test]
    fn replay_of_recorded_events_reaches_the_same_state(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        let mut replayed = Fetch::<ContentInfo>::new(walk.task.clone());
        for event in &walk.events {
            let json = serde_json::to_string(event).expect("JSON");
            let read: Event = serde_json::from_str(&json).expect("an event");
            let (next, again) = replayed.step(read.outcome).expect("a valid outcome");
            prop_assert_eq!(&again, event);
            replayed = next;
        }
        prop_assert_eq!(replayed.state(), walk.end.state());
        prop_assert_eq!(replayed.attempt(), walk.end.attempt());
        prop_assert_eq!(replayed.failed(), walk.end.failed());
        prop_assert_eq!(replayed.wants().is_none(), walk.end.wants().is_none());
    }

    #[test]
    fn each_event_starts_in_the_state_where_the_last_ended(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        let mut at = State::Pending;
        for event in &walk.events {
            prop_assert_eq!(event.from, at);
            at = event.to;
        }
        prop_assert_eq!(at, walk.end.state());
        let ended = walk.end.wants().is_none();
        prop_assert!(ended || walk.events.len() == STEPS_MAX);
    }
}

/// The properties above would hold for walks that reach nothing.
#[test]
fn random_walks_end_in_every_state() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut ends = std::collections::BTreeMap::new();
    for _ in 0..2000 {
        let (task, choices) = (task(), choices())
            .new_tree(&mut runner)
            .expect("a walk")
            .current();
        let walk = walk(task, &choices);
        let at = walk.end.failed().map(Failed::state);
        *ends.entry((walk.end.state(), at)).or_insert(0) += 1;
    }
    let failed = [
        State::Pending,
        State::Staged,
        State::Copied,
        State::Inspected,
        State::Verified,
        State::Authenticated,
    ];
    for end in failed
        .map(|at| (State::Failed, Some(at)))
        .into_iter()
        .chain([(State::Committed, None)])
    {
        assert!(
            ends.get(&end).is_some_and(|walks| *walks > 9),
            "{end:?}: {ends:?}"
        );
    }
}
