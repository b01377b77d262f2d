//! What must hold always, sometimes and eventually. Invariants are numbered as in
//! `docs/architecture.md`.

use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{Method, Network, State};
use stateright::Property;

use crate::bounds::{FOREIGN_STAGING, INDEXES, InitialDisk, Registry};
use crate::file_system::{Node, Text, intern};
use crate::process::{CauseKind, CommitKind, ROOT, Status};
use crate::world::{CacheModel, Disturbance, Process, World, object, run_skopeo};

pub const CONTENT: &str = "invariant 1, content: an object is an index that hashes to its name";
pub const DURABILITY: &str =
    "invariant 2, durability: a reported object and its record survive crashes";
pub const RECOVERY: &str =
    "invariant 3, recovery: after a crash the next run succeeds and leaves no staging";
pub const LOCK_PROGRESS: &str = "invariant 4, liveness: lock waits form no cycle";
pub const EVIDENCE: &str = "invariant 8, evidence: a published object has a record of Verified, \
     and with verifiers of Authenticated, as a reported one has";
pub const NO_FAILURE_WITHOUT_CAUSE: &str = "an undisturbed fetch succeeds";
pub const FOREIGN: &str = "what isn't ours is untouched, and a cache in it is refused";
pub const TERMINATION: &str = "every process ends, or stays crashed when no restart is left";
pub const SUCCESS: &str = "every request succeeds";

/// Whether something holds in a world.
type Condition = fn(&CacheModel, &World) -> bool;

/// A property that is checked if it applies within the bounds.
type Conditional = (bool, &'static str, Condition);

/// All properties that apply within the bounds of this model.
pub fn all(model: &CacheModel) -> Vec<Property<CacheModel>> {
    let applicable = |all: Vec<Conditional>| {
        all.into_iter()
            .filter_map(|(applies, name, condition)| applies.then_some((name, condition)))
    };
    let always = always()
        .into_iter()
        .map(|(name, condition)| Property::always(name, condition));
    let eventually = applicable(eventually(model).into())
        .map(|(name, condition)| Property::eventually(name, condition));
    let sometimes = applicable(reachable_states(model).into())
        .chain(applicable(reachable_causes(model).into()))
        .map(|(name, condition)| Property::sometimes(name, condition));
    always.chain(eventually).chain(sometimes).collect()
}

fn always() -> [(&'static str, Condition); 7] {
    [
        (CONTENT, |_, world| has_only_valid_objects(world)),
        (DURABILITY, |_, world| keeps_reported_objects(world)),
        (RECOVERY, |model, world| {
            let is_running = |process: &Process| matches!(process, Process::Running { .. });
            world.processes.iter().any(is_running)
                || world.initial.is_refused()
                || next_run_succeeds(model, world)
        }),
        (LOCK_PROGRESS, has_no_lock_cycle),
        (EVIDENCE, has_records),
        (NO_FAILURE_WITHOUT_CAUSE, |model, world| {
            world.processes.iter().all(|process| match process {
                Process::Ended {
                    disturbance: Disturbance::None,
                    ..
                } => is_committed(model, process) || world.initial.is_refused(),
                _ => true,
            })
        }),
        (FOREIGN, leaves_foreign_nodes),
    ]
}

/// Each stays true once it is true, and no path returns to an earlier world: with that the
/// checker's `eventually` misses nothing.
fn eventually(model: &CacheModel) -> [Conditional; 2] {
    let bounds = &model.bounds;
    let is_undisturbed = bounds.registry == Registry::Correct
        && bounds.network == Network::Allowed
        && bounds.faults + bounds.removals == 0
        && bounds.requested.iter().all(|text| INDEXES.contains(text));
    let all_restart = usize::from(bounds.restarts) >= bounds.max_crashed()
        && !bounds.initial_disks.iter().any(|disk| disk.is_refused());
    [
        (true, TERMINATION, |_, world| {
            world.processes.iter().all(|process| match process {
                Process::Running { .. } => false,
                Process::Crashed => world.restarts == 0,
                Process::Ended { .. } => true,
            })
        }),
        (is_undisturbed && all_restart, SUCCESS, |model, world| {
            world
                .processes
                .iter()
                .all(|process| is_committed(model, process))
        }),
    ]
}

fn reachable_states(model: &CacheModel) -> [Conditional; 16] {
    let bounds = &model.bounds;
    let initial = |disk| bounds.initial_disks.contains(&disk);
    let is_online = bounds.network == Network::Allowed;
    let is_wrong = is_online && bounds.registry == Registry::Arbitrary;
    let is_index = INDEXES.contains(&bounds.requested[0]);
    let is_fetched = is_online && is_index;
    let is_duplicate = bounds.requested[1..].contains(&bounds.requested[0]);
    let has_faults = bounds.faults > 0;
    [
        (is_online, "staged", |m, w| reached(m, w, State::Staged)),
        (is_online, "copied", |m, w| reached(m, w, State::Copied)),
        (is_fetched, "inspected", |m, w| {
            reached(m, w, State::Inspected)
        }),
        (is_fetched, "verified", |m, w| {
            reached(m, w, State::Verified)
        }),
        (
            is_fetched && bounds.verifiers > 0,
            "authenticated",
            |m, w| reached(m, w, State::Authenticated),
        ),
        (is_index, "committed", |m, w| {
            reached(m, w, State::Committed)
        }),
        (is_wrong || !is_fetched || has_faults, "failed", |m, w| {
            reached(m, w, State::Failed)
        }),
        (is_fetched, "committed: new", |m, w| {
            committed(m, w, CommitKind::New)
        }),
        (initial(InitialDisk::UnsyncedIndex), "a hit", |m, w| {
            committed(m, w, CommitKind::Hit)
        }),
        (
            is_online && is_duplicate,
            "committed: already there",
            |m, w| committed(m, w, CommitKind::AlreadyThere),
        ),
        (is_wrong, "failed in staged", |m, w| {
            failed(m, w, |state, _| state == State::Staged)
        }),
        (is_wrong || !is_index, "failed in copied", |m, w| {
            failed(m, w, |state, _| state == State::Copied)
        }),
        (is_wrong, "failed in inspected", |m, w| {
            failed(m, w, |state, _| state == State::Inspected)
        }),
        (has_faults, "failed in pending", |m, w| {
            failed(m, w, |state, _| state == State::Pending)
        }),
        (has_faults && is_fetched, "failed in verified", |m, w| {
            failed(m, w, |state, _| state == State::Verified)
        }),
        (
            initial(InitialDisk::CorruptObject),
            "quarantined",
            |_, w| {
                let quarantine = intern(&format!("{ROOT}/.skopeo-index/quarantine"));
                w.fs.list(quarantine).next().is_some()
            },
        ),
    ]
}

fn reachable_causes(model: &CacheModel) -> [Conditional; 9] {
    let bounds = &model.bounds;
    let is_online = bounds.network == Network::Allowed;
    let is_wrong = is_online && bounds.registry == Registry::Arbitrary;
    let is_index = INDEXES.contains(&bounds.requested[0]);
    let is_copied = bounds.method == Method::SkopeoCopy;
    [
        (!is_index, "failed: not an index", |m, w| {
            failed(m, w, |_, cause| cause == CauseKind::NotAnIndex)
        }),
        (is_wrong, "failed: digest mismatch", |m, w| {
            failed(m, w, |_, cause| cause == CauseKind::DigestMismatch)
        }),
        (
            is_wrong && is_copied && is_index,
            "failed: skopeo digest mismatch",
            |m, w| failed(m, w, |_, cause| cause == CauseKind::SkopeoDigestMismatch),
        ),
        (is_wrong && is_copied, "failed: copy mismatch", |m, w| {
            failed(m, w, |_, cause| cause == CauseKind::CopyMismatch)
        }),
        (bounds.removals > 0, "failed: read-back mismatch", |m, w| {
            failed(m, w, |_, cause| cause == CauseKind::ReadBackMismatch)
        }),
        (
            bounds.verifiers > 0 && bounds.registry == Registry::Arbitrary,
            "failed: refused by a verifier",
            |m, w| failed(m, w, |_, cause| cause == CauseKind::RefusedByVerifier),
        ),
        (!is_online, "failed: offline", |m, w| {
            failed(m, w, |_, cause| cause == CauseKind::Offline)
        }),
        (
            is_wrong || bounds.faults > 0,
            "failed: effect failed",
            |m, w| failed(m, w, |_, cause| cause == CauseKind::EffectFailed),
        ),
        (is_wrong, "failed: retries exhausted", |m, w| {
            failed(m, w, |_, cause| cause == CauseKind::RetriesExhausted)
        }),
    ]
}

fn reached(model: &CacheModel, world: &World, state: State) -> bool {
    let mut snapshots = world.processes.iter().filter_map(|p| model.snapshot(p));
    snapshots.any(|snapshot| snapshot.reached.contains(&state))
}

fn committed(model: &CacheModel, world: &World, kind: CommitKind) -> bool {
    let mut snapshots = world.processes.iter().filter_map(|p| model.snapshot(p));
    snapshots.any(|snapshot| matches!(snapshot.status, Status::Committed(k) if k == kind))
}

fn failed(model: &CacheModel, world: &World, matches: fn(State, CauseKind) -> bool) -> bool {
    let mut snapshots = world.processes.iter().filter_map(|p| model.snapshot(p));
    snapshots.any(|snapshot| match snapshot.status {
        Status::Failed(state, cause) => matches(state, cause),
        Status::Calling(_) | Status::Committed(_) => false,
    })
}

fn is_committed(model: &CacheModel, process: &Process) -> bool {
    let snapshot = model.snapshot(process);
    snapshot.is_some_and(|snapshot| matches!(snapshot.status, Status::Committed(_)))
}

fn is_valid(digest: Digest, bytes: Text) -> bool {
    Digest::of(bytes.as_bytes()) == digest && Index::parse(bytes.as_bytes()).is_ok()
}

/// Whether each digest's name has an index with that SHA-256, or what the initial disk had
/// there.
fn has_only_valid_objects(world: &World) -> bool {
    world.fs.list(ROOT).all(|(path, node)| {
        let name = path.rsplit('/').next().expect("a name");
        let Ok(digest) = name.parse::<Digest>() else {
            return true;
        };
        match node {
            Node::Dir => world.initial == InitialDisk::DirectoryAtName,
            Node::Link | Node::Pipe | Node::Endless | Node::ForeignDir => {
                world.initial == InitialDisk::NodeAtName(node)
            }
            Node::File(file) if world.initial.has_object() && file == (path, 0) => true,
            Node::File(file) => is_valid(digest, world.fs.content(file)),
        }
    })
}

/// Whether nothing was made, changed or removed that isn't ours, but for what had an
/// object's name, and nothing is committed in spite of it.
fn leaves_foreign_nodes(model: &CacheModel, world: &World) -> bool {
    let object = object(model.first_digest());
    let initial = world.initial.file_system(object, model.bounds.requested[0]);
    let (mut before, mut now) = (initial.foreign(), world.fs.foreign());
    if let InitialDisk::NodeAtName(_) = world.initial {
        // It is moved to quarantine, under any name.
        before.remove(object);
        now.retain(|path, _| *path != object && !path.contains("/quarantine/"));
    }
    let is_committed = |process| is_committed(model, process);
    before == now && !(world.initial.is_refused() && world.processes.iter().any(is_committed))
}

fn has_valid_object(world: &World, digest: Digest) -> bool {
    match world.fs.node(object(digest)) {
        Some(Node::File(file)) => is_valid(digest, world.fs.content(file)),
        _ => false,
    }
}

fn keeps_reported_objects(world: &World) -> bool {
    world.reported.iter().all(|digest| {
        let is_recorded = world.log.contains(&(*digest, State::Committed));
        is_recorded && has_valid_object(world, *digest)
    })
}

/// Whether one more, undisturbed process for each index commits it and leaves no staging
/// directory.
fn next_run_succeeds(model: &CacheModel, world: &World) -> bool {
    let requested = model.bounds.requested.iter();
    let indexes = requested.filter(|text| INDEXES.contains(text));
    let mut world = world.clone();
    for (n, document) in indexes.chain([&INDEXES[1]]).enumerate() {
        let name = char::from(b'Z' - u8::try_from(n).expect("few documents"));
        world.processes = vec![model.start(name, document, Network::Allowed)];
        if !run_alone(model, &mut world)
            || !keeps_reported_objects(&world)
            || !has_valid_object(&world, Digest::of(document.as_bytes()))
        {
            return false;
        }
    }
    let private_dir = intern(&format!("{ROOT}/.skopeo-index"));
    let is_staging = |path: &str| path.contains("/staging-");
    world
        .fs
        .list(private_dir)
        .all(|(path, _)| !is_staging(path) || path.ends_with(FOREIGN_STAGING))
        && has_only_valid_objects(&world)
}

/// Runs the only process; returns whether it ends.
fn run_alone(model: &CacheModel, world: &mut World) -> bool {
    while let Some(call) = model.next_call(&world.processes[0]) {
        let correct = model.remote_answers(&world.fs, &call).into_iter().next();
        let answer = match correct {
            Some(correct) => Some(run_skopeo(&mut world.fs, &call, correct)),
            None => model.perform(world, 0, &call),
        };
        let Some(answer) = answer else { return false };
        model.deliver(world, 0, answer, Disturbance::None);
    }
    true
}

/// Whether every chain of processes that wait for each other's locks ends at one that
/// doesn't wait.
fn has_no_lock_cycle(model: &CacheModel, world: &World) -> bool {
    let count = world.processes.len();
    (0..count).all(|n| {
        let chain = std::iter::successors(Some(n), |n| model.waits_for(world, *n));
        chain.take(count + 1).count() <= count
    })
}

/// Whether every object that the initial disk didn't have was recorded as verified, and with
/// verifiers as authenticated; so that of each object that was reported.
fn has_records(model: &CacheModel, world: &World) -> bool {
    let needed = match model.bounds.verifiers {
        0 => State::Verified,
        _ => State::Authenticated,
    };
    let has_record = |digest| world.log.contains(&(digest, needed));
    let is_reported_early = |digest: &Digest| model.bounds.verifiers > 0 && !has_record(*digest);
    if world.reported.iter().any(is_reported_early) {
        return false;
    }
    model.bounds.requested.iter().all(|document| {
        let digest = Digest::of(document.as_bytes());
        let is_published = match world.fs.node(object(digest)) {
            Some(Node::File(file)) => !world.initial.has_object() || file != (object(digest), 0),
            _ => false,
        };
        !is_published || has_record(digest)
    })
}
