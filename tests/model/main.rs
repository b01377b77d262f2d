//! Model checking of `store`, `fetch`, `session` and the core's `step`: the program's own
//! code over an abstract file system, in every order of the calls of several processes,
//! with every crash and every power failure, within the bounds that each test states.
//!
//! `SKOPEO_INDEX_PROOF=long` widens the bounds.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod bounds;
mod call;
mod engines;
mod file_system;
mod process;
mod properties;
mod seeded_bug;
mod simulation;
mod transitions;
mod verifiers;
mod world;

use std::time::Instant;

use bounds::{Bounds, HOSTILE_DISKS, IMAGE, INDEXES, InitialDisk, Registry};
use file_system::Text;
use properties::{
    CONTENT, DURABILITY, EVIDENCE, FOREIGN, LOCK_PROGRESS, NO_FAILURE_WITHOUT_CAUSE, RECOVERY,
    TERMINATION,
};
use seeded_bug::SeededBug;
use skopeo_index_core::machine::{Method, Network};
use stateright::{Checker, HasDiscoveries, Model};
use world::CacheModel;

const ONE: Text = INDEXES[0];
const OTHER: Text = INDEXES[1];

/// The disks on which a fetch starts with a miss, a hit or a quarantine.
const MISS_HIT_CORRUPT: [InitialDisk; 3] = [
    InitialDisk::EmptyCache,
    InitialDisk::UnsyncedIndex,
    InitialDisk::CorruptObject,
];

fn is_long() -> bool {
    std::env::var_os("SKOPEO_INDEX_PROOF").is_some_and(|proof| proof == "long")
}

/// Explores every state within the bounds, and prints their number.
#[track_caller]
fn assert_holds(description: &str, bounds: Bounds) {
    let started = Instant::now();
    let model = CacheModel::new(bounds);
    let histories = std::sync::Arc::clone(&model.histories);
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!(
        "{description}: {} states, {} transitions, depth {}, {} histories of a process, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        histories.count(),
        started.elapsed(),
    );
    checker.assert_properties();
}

/// Explores until a property is violated, which must be one of these.
#[track_caller]
fn assert_detected(bug: SeededBug, properties: &[&'static str], bounds: Bounds) {
    let bounds = Bounds {
        bug: Some(bug),
        ..bounds
    };
    let checker = CacheModel::new(bounds)
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let discoveries = checker.discoveries();
    println!("{bug:?}: {:?}", discoveries.keys());
    assert!(
        properties
            .iter()
            .any(|property| discoveries.contains_key(property)),
        "{bug:?} must violate {properties:?}"
    );
}

#[test]
fn fetch_with_wrong_answers_fault_crash_and_power_failure_keeps_invariants() {
    let copy_attempts = if is_long() { 2 } else { 1 };
    for (description, method, attempts) in [
        ("one process, raw", Method::Raw, 2),
        ("one process, copy", Method::SkopeoCopy, copy_attempts),
    ] {
        let bounds = Bounds {
            method,
            registry: Registry::Arbitrary,
            attempts,
            initial_disks: vec![
                InitialDisk::EmptyCache,
                InitialDisk::UnsyncedIndex,
                InitialDisk::CorruptObject,
                InitialDisk::DirectoryAtName,
            ],
            faults: 1,
            crashes: 1,
            power_failures: 1,
            restarts: u8::from(is_long() && method == Method::Raw),
            ..Bounds::of(&[ONE])
        };
        assert_holds(description, bounds);
    }
}

#[test]
fn request_for_an_image_is_never_committed() {
    let bounds = Bounds {
        registry: Registry::Arbitrary,
        attempts: 2,
        faults: 1,
        crashes: 1,
        power_failures: 1,
        restarts: u8::from(is_long()),
        ..Bounds::of(&[IMAGE])
    };
    assert_holds("one process, digest of an image", bounds);
}

#[test]
fn offline_fetch_with_fault_crash_and_power_failure_keeps_invariants() {
    let bounds = Bounds {
        network: Network::Offline,
        registry: Registry::Arbitrary,
        initial_disks: MISS_HIT_CORRUPT.into(),
        faults: 1,
        crashes: 1,
        power_failures: 1,
        restarts: 2,
        ..Bounds::of(&[ONE])
    };
    assert_holds("one process, offline", bounds);
}

#[test]
fn missing_or_unsynced_cache_directory_is_made_durable() {
    for (description, disk) in [
        ("one process, cache missing", InitialDisk::NoParentOfCache),
        ("one process, cache unsynced", InitialDisk::UnsyncedCache),
    ] {
        let bounds = Bounds {
            initial_disks: vec![disk],
            crashes: 1,
            power_failures: 1,
            restarts: 2,
            ..Bounds::of(&[ONE])
        };
        assert_holds(description, bounds);
    }
}

#[test]
fn object_removed_by_another_process_during_fetch() {
    let bounds = Bounds {
        initial_disks: MISS_HIT_CORRUPT.into(),
        crashes: 1,
        power_failures: 1,
        restarts: 1,
        removals: 1,
        ..Bounds::of(&[ONE])
    };
    assert_holds("one process, object removed", bounds);
    if is_long() {
        let bounds = Bounds {
            initial_disks: MISS_HIT_CORRUPT.into(),
            crashes: 1,
            removals: 1,
            ..Bounds::of(&[ONE, ONE])
        };
        assert_holds("two processes, object removed", bounds);
    }
}

#[test]
fn crashed_process_restarts_and_commits() {
    let bounds = Bounds {
        initial_disks: MISS_HIT_CORRUPT.into(),
        crashes: 1,
        power_failures: 1,
        restarts: 2,
        ..Bounds::of(&[ONE])
    };
    assert_holds("one process, restarted", bounds);
    for (description, requested) in [("one digest", [ONE, ONE]), ("two digests", [ONE, OTHER])] {
        let bounds = Bounds {
            crashes: 1,
            restarts: 1,
            context_switches: Some(if is_long() { 3 } else { 1 }),
            ..Bounds::of(&requested)
        };
        let description = format!("two processes, {description}");
        assert_holds(&format!("{description}, crash"), bounds.clone());
        if is_long() {
            let bounds = Bounds {
                crashes: 0,
                power_failures: 1,
                restarts: 2,
                context_switches: Some(1),
                ..bounds
            };
            assert_holds(&format!("{description}, power failure"), bounds);
        }
    }
}

#[test]
fn pipes_links_endless_files_and_foreign_directories_are_untouched_and_end_no_run() {
    let disks = || [&HOSTILE_DISKS[..], &[InitialDisk::EmptyCache]].concat();
    let bounds = Bounds {
        initial_disks: disks(),
        faults: 1,
        crashes: 1,
        power_failures: 1,
        restarts: u8::from(is_long()),
        ..Bounds::of(&[ONE])
    };
    assert_holds("one process, hostile disks", bounds);
    let bounds = Bounds {
        initial_disks: disks(),
        context_switches: if is_long() { None } else { Some(2) },
        ..Bounds::of(&[ONE, ONE])
    };
    assert_holds("two processes, hostile disks", bounds);
}

#[test]
fn two_processes_for_one_digest_keep_invariants() {
    let bounds = Bounds {
        initial_disks: MISS_HIT_CORRUPT.into(),
        crashes: 1,
        power_failures: 1,
        restarts: u8::from(is_long()),
        ..Bounds::of(&[ONE, ONE])
    };
    assert_holds("two processes, one digest", bounds);
    if is_long() {
        let bounds = Bounds {
            registry: Registry::Arbitrary,
            initial_disks: vec![InitialDisk::EmptyCache, InitialDisk::CorruptObject],
            faults: 1,
            crashes: 1,
            power_failures: 1,
            ..Bounds::of(&[ONE, ONE])
        };
        assert_holds("two processes, one digest, wrong answers", bounds);
    }
}

#[test]
fn two_processes_for_two_digests_keep_invariants() {
    let bounds = Bounds {
        registry: Registry::Arbitrary,
        crashes: 1,
        ..Bounds::of(&[ONE, OTHER])
    };
    assert_holds("two processes, two digests", bounds);
    if is_long() {
        let bounds = Bounds {
            registry: Registry::Arbitrary,
            initial_disks: MISS_HIT_CORRUPT.into(),
            faults: 1,
            power_failures: 1,
            ..Bounds::of(&[ONE, OTHER])
        };
        assert_holds("two processes, two digests, wrong answers", bounds);
    }
}

#[test]
fn three_processes_keep_invariants() {
    for (description, requested) in [("one digest", [ONE; 3]), ("two digests", [ONE, OTHER, ONE])] {
        let bounds = Bounds {
            initial_disks: vec![InitialDisk::EmptyCache, InitialDisk::CorruptObject],
            crashes: u8::from(is_long()),
            context_switches: Some(2),
            ..Bounds::of(&requested)
        };
        let description = format!("three processes, {description}");
        assert_holds(&description, bounds);
        if is_long() {
            let bounds = Bounds {
                registry: Registry::Arbitrary,
                power_failures: 1,
                context_switches: Some(2),
                ..Bounds::of(&requested)
            };
            assert_holds(&format!("{description}, wrong answers"), bounds);
        }
    }
}

#[test]
fn checker_detects_each_seeded_bug() {
    let one = || Bounds {
        power_failures: 1,
        ..Bounds::of(&[ONE])
    };
    assert_detected(
        SeededBug::FileNeverSynced,
        &[CONTENT, DURABILITY, RECOVERY],
        one(),
    );
    assert_detected(SeededBug::DirectoryNeverSynced, &[DURABILITY], one());
    assert_detected(SeededBug::RenamedBeforeSynced, &[CONTENT], one());
    assert_detected(SeededBug::WrittenInPlace, &[CONTENT], one());
    assert_detected(SeededBug::RecordedAfterPublishing, &[EVIDENCE], one());
    assert_detected(SeededBug::NeverRecorded, &[DURABILITY, EVIDENCE], one());
    let wrong_answers = Bounds {
        registry: Registry::Arbitrary,
        ..Bounds::of(&[ONE])
    };
    assert_detected(SeededBug::VerifiedAfterRename, &[CONTENT], wrong_answers);
    let failure = [NO_FAILURE_WITHOUT_CAUSE];
    let two = Bounds::of(&[ONE, OTHER]);
    assert_detected(SeededBug::SweptWithoutLock, &failure, two);
    let on = |initial_disks: &[InitialDisk]| Bounds {
        initial_disks: initial_disks.to_vec(),
        ..Bounds::of(&[ONE])
    };
    for disks in HOSTILE_DISKS.chunks(1).filter(|disks| disks[0].has_link()) {
        assert_detected(SeededBug::LinkFollowed, &[FOREIGN], on(disks));
    }
    for disk in [InitialDisk::LockIsPipe, InitialDisk::StaleLockIsPipe] {
        assert_detected(SeededBug::PipeAwaited, &[TERMINATION], on(&[disk]));
    }
    for property in [LOCK_PROGRESS, TERMINATION] {
        let corrupt = on(&[InitialDisk::CorruptObject]);
        assert_detected(SeededBug::LockedTwice, &[property], corrupt);
    }
    let unsynced_hit = Bounds {
        faults: 1,
        power_failures: 1,
        ..on(&[InitialDisk::UnsyncedIndex])
    };
    for bug in [
        SeededBug::FileNeverSynced,
        SeededBug::ReportedBeforeSynced,
        SeededBug::SyncSkipsFile,
        SeededBug::FailedSyncIgnored,
    ] {
        assert_detected(bug, &[DURABILITY], unsynced_hit.clone());
    }
}
