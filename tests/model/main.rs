//! The crate's own `step`, `perform`, store and executor, explored over an
//! abstract file system by a model checker: every order of the calls of several
//! processes, every crash, every failure of power, within the bounds that each
//! test states.
//!
//! `SKOPEO_INDEX_PROOF=long` widens the bounds.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a model that can't go on says why"
)]

mod cache;
mod disk;
mod process;
mod rules;

use cache::{Before, Bounds, Cache, IMAGE, INDEXES, Registry};
use process::Broken;
use skopeo_index_core::machine::{Method, Network};
use stateright::{Checker, HasDiscoveries, Model};

const ONE: disk::Text = INDEXES[0];
const OTHER: disk::Text = INDEXES[1];

fn is_long() -> bool {
    std::env::var_os("SKOPEO_INDEX_PROOF").is_some_and(|proof| proof == "long")
}

/// Explores everything within the bounds, and says how much that was.
fn holds(what: &str, bounds: Bounds) {
    let began = std::time::Instant::now();
    let cache = Cache::new(bounds);
    let processes = std::sync::Arc::clone(&cache.processes);
    let checker = cache.checker().threads(2).spawn_bfs().join();
    println!(
        "{what}: {} states, {} transitions, {} deep, {} pasts of a process, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        processes.count(),
        began.elapsed(),
    );
    checker.assert_properties();
}

/// Explores until one of these properties is found not to hold.
fn is_found(broken: Broken, properties: &[&'static str], bounds: Bounds) {
    let bounds = Bounds { broken, ..bounds };
    let wanted = HasDiscoveries::AnyFailures;
    let checker = Cache::new(bounds)
        .checker()
        .finish_when(wanted)
        .spawn_bfs()
        .join();
    let found = checker.discoveries();
    println!("{broken:?}: {:?}", found.keys());
    assert!(
        properties
            .iter()
            .any(|property| found.keys().any(|name| name.starts_with(property))),
        "{broken:?} should break {properties:?}"
    );
}

#[test]
fn one_fetcher_and_anything_that_may_go_wrong() {
    let by_copy = if is_long() { 2 } else { 1 };
    for (what, method, attempts) in [
        ("one by raw", Method::Raw, 2),
        ("one by copy", Method::SkopeoCopy, by_copy),
    ] {
        let bounds = Bounds {
            method,
            registry: Registry::Anything,
            attempts,
            before: vec![
                Before::Nothing,
                Before::Index,
                Before::Corrupt,
                Before::Directory,
            ],
            faults: 1,
            crashes: 1,
            powers: 1,
            restarts: u8::from(is_long() && method == Method::Raw),
            ..Bounds::of(&[ONE])
        };
        holds(what, bounds);
    }
}

#[test]
fn one_who_asks_for_an_image() {
    let bounds = Bounds {
        registry: Registry::Anything,
        attempts: 2,
        faults: 1,
        crashes: 1,
        powers: 1,
        restarts: u8::from(is_long()),
        ..Bounds::of(&[IMAGE])
    };
    holds("one who asks for an image", bounds);
}

#[test]
fn one_who_may_not_leave_the_machine() {
    let bounds = Bounds {
        network: Network::Offline,
        registry: Registry::Anything,
        before: vec![Before::Nothing, Before::Index, Before::Corrupt],
        faults: 1,
        crashes: 1,
        powers: 1,
        restarts: 2,
        ..Bounds::of(&[ONE])
    };
    holds("one who is offline", bounds);
}

#[test]
fn one_whose_cache_is_not_there_yet() {
    let bounds = Bounds {
        before: vec![Before::Nowhere],
        crashes: 1,
        powers: 1,
        restarts: 2,
        ..Bounds::of(&[ONE])
    };
    holds("one without a cache", bounds);
    let bounds = Bounds {
        before: vec![Before::Fresh],
        crashes: 1,
        powers: 1,
        restarts: 2,
        ..Bounds::of(&[ONE])
    };
    holds("one whose cache nobody has synced", bounds);
}

#[test]
fn one_who_is_robbed() {
    let bounds = Bounds {
        before: vec![Before::Nothing, Before::Index, Before::Corrupt],
        crashes: 1,
        powers: 1,
        restarts: 1,
        removals: 1,
        ..Bounds::of(&[ONE])
    };
    holds("one who is robbed", bounds);
    if is_long() {
        let bounds = Bounds {
            before: vec![Before::Nothing, Before::Index, Before::Corrupt],
            crashes: 1,
            removals: 1,
            ..Bounds::of(&[ONE, ONE])
        };
        holds("two who are robbed", bounds);
    }
}

#[test]
fn whoever_dies_comes_back() {
    let bounds = Bounds {
        before: vec![Before::Nothing, Before::Index, Before::Corrupt],
        crashes: 1,
        powers: 1,
        restarts: 2,
        ..Bounds::of(&[ONE])
    };
    holds("one who comes back", bounds);
    for (what, wanted) in [("one digest", [ONE, ONE]), ("two digests", [ONE, OTHER])] {
        let bounds = Bounds {
            crashes: 1,
            restarts: 1,
            switches: Some(if is_long() { 3 } else { 1 }),
            ..Bounds::of(&wanted)
        };
        holds(&format!("two of {what}, a crash"), bounds.clone());
        if is_long() {
            let bounds = Bounds {
                crashes: 0,
                powers: 1,
                restarts: 2,
                switches: Some(1),
                ..bounds
            };
            holds(&format!("two of {what}, and both lose their power"), bounds);
        }
    }
}

#[test]
fn two_fetchers_of_one_digest() {
    let bounds = Bounds {
        before: vec![Before::Nothing, Before::Index, Before::Corrupt],
        crashes: 1,
        powers: 1,
        restarts: u8::from(is_long()),
        ..Bounds::of(&[ONE, ONE])
    };
    holds("two of one digest", bounds);
    if is_long() {
        let bounds = Bounds {
            registry: Registry::Anything,
            before: vec![Before::Nothing, Before::Corrupt],
            faults: 1,
            crashes: 1,
            powers: 1,
            ..Bounds::of(&[ONE, ONE])
        };
        holds("two of one digest, anything", bounds);
    }
}

#[test]
fn two_fetchers_of_two_digests() {
    let bounds = Bounds {
        registry: Registry::Anything,
        crashes: 1,
        ..Bounds::of(&[ONE, OTHER])
    };
    holds("two of two digests", bounds);
    if is_long() {
        let bounds = Bounds {
            registry: Registry::Anything,
            before: vec![Before::Nothing, Before::Index, Before::Corrupt],
            faults: 1,
            powers: 1,
            ..Bounds::of(&[ONE, OTHER])
        };
        holds("two of two digests, anything", bounds);
    }
}

#[test]
fn three_fetchers() {
    for (what, wanted) in [("one digest", [ONE; 3]), ("two digests", [ONE, OTHER, ONE])] {
        let bounds = Bounds {
            before: vec![Before::Nothing, Before::Corrupt],
            crashes: u8::from(is_long()),
            switches: Some(2),
            ..Bounds::of(&wanted)
        };
        holds(&format!("three of {what}"), bounds);
        if is_long() {
            let bounds = Bounds {
                registry: Registry::Anything,
                powers: 1,
                switches: Some(2),
                ..Bounds::of(&wanted)
            };
            holds(&format!("three of {what}, anything"), bounds);
        }
    }
}

#[test]
fn every_rule_that_is_broken_is_found() {
    let one = || Bounds {
        powers: 1,
        ..Bounds::of(&[ONE])
    };
    is_found(Broken::FileNeverSynced, &["1", "2", "3"], one());
    is_found(Broken::DirectoryNeverSynced, &["2"], one());
    is_found(Broken::RenamedBeforeSynced, &["1"], one());
    is_found(Broken::WrittenInPlace, &["1"], one());
    is_found(Broken::RecordedAfterPublished, &["8"], one());
    is_found(Broken::NeverRecorded, &["2", "8"], one());
    let lies = Bounds {
        registry: Registry::Anything,
        ..Bounds::of(&[ONE])
    };
    is_found(Broken::VerifiedAfterRenamed, &["1"], lies);
    let two = || Bounds::of(&[ONE, OTHER]);
    is_found(Broken::SweptWithoutLock, &["nobody fails"], two());
    let corrupt = Bounds {
        before: vec![Before::Corrupt],
        ..Bounds::of(&[ONE])
    };
    is_found(Broken::LockedTwice, &["4"], corrupt.clone());
    is_found(Broken::LockedTwice, &["in the end all have ended"], corrupt);
}
