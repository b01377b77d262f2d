//! Walks through the machine: each step answers what the state wants, with
//! anything that could come of it.

use std::num::NonZeroU32;

use test_support::loopback::samples;
use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{
    CancelReason, Cause, ContentInfo, Effect, EffectError, Event, FailureKind, Fetch, FetchPolicy,
    ManifestBytes, Method, Network, Outcome, Placement, Retry, Staging, State, Task,
};

use crate::stand_in::request;

/// More steps than a walk takes that doesn't find corrupt objects for ever.
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

fn trouble(choice: u8) -> EffectError {
    let class = match choice % 8 {
        0 => FailureKind::Network,
        1 => FailureKind::Timeout,
        2 => FailureKind::Server,
        3 => FailureKind::RateLimited,
        4 => FailureKind::NotFound,
        5 => FailureKind::Other,
        _ => {
            return EffectError::Cancelled {
                why: CancelReason::Interrupted,
            };
        }
    };
    let message = "m".to_owned();
    EffectError::Command { class, message }
}

/// Something that may come of an effect, mostly good.
fn outcome(effect: &Effect<'_, ManifestBytes>, sort: u8, choice: u8) -> Outcome<ManifestBytes> {
    let content = || ManifestBytes::from(document(choice));
    if sort % 8 == 7 {
        let trouble = trouble(choice);
        return Outcome::Failed { trouble };
    }
    match effect {
        Effect::LookUp { .. } | Effect::Quarantine { .. } => match (sort % 8, effect) {
            (0, _) => Outcome::Found { content: content() },
            (1, _) => Outcome::FoundNotAFile,
            (2, _) => Outcome::FoundOversized {
                digest: Digest::of(&document(choice)),
                size: 5 << 20,
            },
            (_, Effect::Quarantine { .. }) => Outcome::Quarantined {
                name: format!("q.{choice}"),
            },
            _ => Outcome::Absent,
        },
        Effect::Stage => Outcome::Staged {
            at: Staging::new("s/0".into()),
        },
        Effect::Fetch { .. } if sort.is_multiple_of(2) => Outcome::Failed {
            trouble: trouble(choice % 4),
        },
        Effect::Fetch { .. } => Outcome::Fetched { content: content() },
        Effect::ReadCopy { .. } => Outcome::CopyRead { content: content() },
        Effect::ManifestDigest { .. } => Outcome::ManifestDigest {
            digest: Digest::of(&document(choice)).to_string(),
        },
        Effect::Backoff { .. } => Outcome::BackoffElapsed,
        Effect::Continue => Outcome::Continued,
        Effect::Publish {
            content: verified, ..
        } if !sort.is_multiple_of(4) => Outcome::Published {
            content: (*verified).clone(),
            placed: Placement::New,
        },
        Effect::Publish { .. } => Outcome::Published {
            content: content(),
            placed: Placement::Replaced("q.p".into()),
        },
    }
}

/// A walk: its events, what was wanted before each, and where it ended.
struct Walk {
    task: Task,
    copied: Vec<u32>,
    paused: Vec<u32>,
    brought: Vec<ManifestBytes>,
    quarantined: Option<String>,
    events: Vec<Event>,
    end: Fetch,
}

fn walk(task: Task, choices: &[(u8, u8)]) -> Walk {
    let mut walk = Walk {
        end: Fetch::new(task.clone()),
        task,
        copied: Vec::new(),
        paused: Vec::new(),
        brought: Vec::new(),
        quarantined: None,
        events: Vec::new(),
    };
    for (sort, choice) in choices {
        let Some(effect) = walk.end.wants() else {
            break;
        };
        match &effect {
            Effect::Fetch { attempt, .. } => walk.copied.push(*attempt),
            Effect::Backoff { attempt } => walk.paused.push(*attempt),
            _ => {}
        }
        let outcome = outcome(&effect, *sort, *choice);
        match &outcome {
            Outcome::Found { content } | Outcome::Published { content, .. } => {
                walk.brought.push(content.clone())
            }
            Outcome::Quarantined { name } => walk.quarantined = Some(name.clone()),
            _ => {}
        }
        let (next, event) = walk
            .end
            .clone()
            .step(outcome)
            .expect("what was wanted is of use");
        assert_eq!(next.task(), &walk.task);
        walk.events.push(event);
        walk.end = next;
    }
    walk
}

fn task() -> impl Strategy<Value = Task> {
    let method = prop::sample::select(vec![Method::Raw, Method::SkopeoCopy]);
    let network = prop_oneof![9 => Just(Network::Allowed), 1 => Just(Network::Offline)];
    (0..4_u32, method, network).prop_map(|(more, method, network)| Task {
        request: request(Digest::of(&document(0))),
        plan: FetchPolicy {
            method,
            attempts: NonZeroU32::MIN.saturating_add(more),
            network,
        },
    })
}

fn choices() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec(any::<(u8, u8)>(), STEPS_MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..crate::regressions("proptest-regressions/walks.txt") })]

    #[test]
    fn what_was_committed_was_brought_last_and_is_the_index_asked_for(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        if let Fetch::Committed(committed) = &walk.end {
            let last = walk.brought.last().expect("bytes").as_slice();
            prop_assert_eq!(Digest::of(last), walk.task.request.digest());
            prop_assert_eq!(&Index::parse(last).expect("an index").summary(), committed.index());
            prop_assert_eq!(committed.size(), last.len() as u64);
        }
    }

    #[test]
    fn a_commit_remembers_what_was_moved_aside(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        if let (Fetch::Committed(committed), Some(Event { outcome: Outcome::Published { placed, .. }, .. })) = (&walk.end, walk.events.last()) {
            let expected = match placed {
                Placement::Replaced(name) => Some(name.as_str()),
                _ => walk.quarantined.as_deref(),
            };
            prop_assert_eq!(committed.quarantined(), expected);
        }
    }

    #[test]
    fn attempts_are_counted_from_1_and_are_no_more_than_planned(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        let counted: Vec<u32> = (1..).take(walk.copied.len()).collect();
        prop_assert_eq!(&walk.copied, &counted);
        prop_assert!(walk.copied.len() <= walk.task.plan.attempts.get() as usize);
        // One pause between two attempts, none before the first or after the last.
        prop_assert!(walk.paused.iter().eq(&counted[..walk.paused.len()]));
        prop_assert!(walk.paused.len() <= walk.copied.len() && walk.copied.len() <= walk.paused.len() + 1);
        let last = walk.copied.last().copied().unwrap_or(0);
        let ended_hit = walk.end.state() == State::Committed && walk.copied.is_empty();
        prop_assert!(walk.end.attempt() == last || ended_hit || walk.end.state() == State::Staged, "{:?}", walk.end);
    }

    #[test]
    fn only_trouble_that_may_pass_is_followed_by_another_attempt(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        for event in &walk.events {
            let Outcome::Failed { trouble } = &event.outcome else { continue };
            let passing = event.from == State::Staged && trouble.retry() == Retry::Worthwhile && event.attempt < walk.task.plan.attempts.get();
            let paused = walk.paused.contains(&event.attempt);
            if event.to == State::Failed {
                prop_assert!(!passing || paused, "{:?}", event);
            } else {
                prop_assert!(passing, "{:?}", event);
            }
        }
    }

    #[test]
    fn offline_nobody_is_asked(mut task in task(), choices in choices()) {
        task.plan.network = Network::Offline;
        let walk = walk(task, &choices);
        prop_assert!(walk.copied.is_empty());
        prop_assert!(!walk.events.iter().any(|event| event.to == State::Staged));
        let absent = walk.events.iter().any(|event| matches!(event.outcome, Outcome::Absent | Outcome::Quarantined { .. }));
        let told = walk.end.failed().is_some_and(|failed| matches!(failed.cause(), Cause::Offline { .. }));
        prop_assert_eq!(absent, told);
    }

    #[test]
    fn what_a_log_keeps_of_a_walk_leads_to_the_same_end(task in task(), choices in choices()) {
        let walk = walk(task, &choices);
        let mut replayed = Fetch::<ContentInfo>::new(walk.task.clone());
        for event in &walk.events {
            let json = serde_json::to_string(event).expect("JSON");
            let read: Event = serde_json::from_str(&json).expect("an event");
            let (next, again) = replayed.step(read.outcome).expect("the same machine");
            prop_assert_eq!(&again, event);
            replayed = next;
        }
        prop_assert_eq!(replayed.state(), walk.end.state());
        prop_assert_eq!(replayed.attempt(), walk.end.attempt());
        prop_assert_eq!(replayed.failed(), walk.end.failed());
        prop_assert_eq!(replayed.wants().is_none(), walk.end.wants().is_none());
    }

    #[test]
    fn from_state_to_state_there_is_no_gap(task in task(), choices in choices()) {
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

/// The properties above would hold of walks that go nowhere.
#[test]
fn walks_go_everywhere() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut ends = std::collections::BTreeMap::new();
    for _ in 0..2000 {
        let (task, choices) = (task(), choices())
            .new_tree(&mut runner)
            .expect("a walk")
            .current();
        let walk = walk(task, &choices);
        let at = walk.end.failed().map(skopeo_index::machine::Failed::at);
        *ends.entry((walk.end.state(), at)).or_insert(0) += 1;
    }
    let failed = [
        State::Pending,
        State::Staged,
        State::Copied,
        State::Inspected,
        State::Verified,
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
