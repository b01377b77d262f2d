//! `step` against the transition table, over every state and every outcome.

use std::collections::{BTreeSet, HashSet};

use skopeo_index_core::machine::{Fetch, OutcomeKind, State, TABLE};

use crate::samples::{outcomes, tasks};

#[test]
fn step_matches_the_table_for_every_state_and_outcome() {
    let (mut seen, mut made) = (HashSet::new(), BTreeSet::new());
    let mut refused = BTreeSet::new();
    let mut open: Vec<Fetch> = tasks().into_iter().map(Fetch::new).collect();
    while let Some(fetch) = open.pop() {
        for kind in OutcomeKind::ALL.iter().copied() {
            for outcome in outcomes(kind) {
                assert_eq!(outcome.kind(), kind);
                match fetch.clone().step(outcome.clone()) {
                    Ok((next, event)) => {
                        crate::assert_sorted_keys(&event);
                        assert_eq!((event.from, event.to), (fetch.state(), next.state()));
                        assert_eq!(event.cause.is_some(), next.state() == State::Failed);
                        made.insert((fetch.state(), kind, next.state()));
                        if seen.insert(format!("{next:?}")) {
                            open.push(next);
                        }
                    }
                    Err(refusal) => {
                        assert_eq!((refusal.state, refusal.outcome), (fetch.clone(), outcome));
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
            "{state} is final"
        );
    }
    let reached: BTreeSet<_> = made.iter().flat_map(|(from, _, to)| [*from, *to]).collect();
    assert_eq!(reached, State::ALL.iter().copied().collect());
}

#[test]
fn table_has_each_row_once() {
    let rows: HashSet<_> = TABLE
        .iter()
        .map(|row| (row.from, row.on, row.when))
        .collect();
    assert_eq!(rows.len(), TABLE.len());
}
