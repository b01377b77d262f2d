//! What must hold: always, sometimes, and in the end.

use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{Method, Network, State};
use stateright::Property;

use crate::cache::Before;
use crate::cache::Cache;
use crate::cache::INDEXES;
use crate::cache::Luck;
use crate::cache::Registry;
use crate::cache::Who;
use crate::cache::World;
use crate::cache::brought;
use crate::cache::object;
use crate::disk::Node;
use crate::disk::Text;
use crate::disk::kept;
use crate::process::Next;
use crate::process::ROOT;
use crate::process::Refusal;
use crate::process::Success;

/// What is so in some state of the world.
type Holds = fn(&Cache, &World) -> bool;

/// All that must hold within the bounds of this cache.
pub fn all(cache: &Cache) -> Vec<Property<Cache>> {
    let always = always().map(|(name, rule)| Property::always(name, rule));
    let named = |all: Vec<(bool, &'static str, Holds)>| {
        all.into_iter()
            .filter_map(|(must, name, rule)| must.then_some((name, rule)))
    };
    let eventually =
        named(eventually(cache).into()).map(|(name, rule)| Property::eventually(name, rule));
    let sometimes = named(states(cache).into())
        .chain(named(refusals(cache).into()))
        .map(|(name, rule)| Property::sometimes(name, rule));
    always
        .into_iter()
        .chain(eventually)
        .chain(sometimes)
        .collect()
}

fn always() -> [(&'static str, Holds); 6] {
    [
        (
            "1: only what belongs there is at a digest's name",
            |_, world| only_what_belongs(world),
        ),
        (
            "2: what was promised is there and recorded, whatever comes",
            |_, world| keeps_promises(world),
        ),
        (
            "3: after any crash the next run is well, and leaves nothing",
            |cache, world| {
                let runs = |who: &Who| matches!(who, Who::Running { .. });
                world.who.iter().any(runs) || next_run_is_well(cache, world)
            },
        ),
        (
            "4: nobody waits but for one who goes on",
            nobody_waits_for_ever,
        ),
        ("8: nothing is there without its record", is_recorded),
        ("nobody fails without a cause of his own", |cache, world| {
            world.who.iter().all(|who| match who {
                Who::Ended(_, Luck::Good) => has_succeeded(cache, who),
                _ => true,
            })
        }),
    ]
}

/// Each stays so once it is so, and no path comes to where it was: with that the
/// checker's `eventually` overlooks nothing.
fn eventually(cache: &Cache) -> [(bool, &'static str, Holds); 2] {
    let bounds = &cache.bounds;
    let all_goes_well = bounds.registry == Registry::Honest
        && bounds.network == Network::Allowed
        && bounds.faults + bounds.removals == 0
        && bounds.wanted.iter().all(|wanted| INDEXES.contains(wanted));
    let all_come_back = usize::from(bounds.restarts) >= bounds.deaths();
    [
        (
            true,
            "in the end all have ended, the dead where they aren't started again",
            |_, world| {
                world.who.iter().all(|who| match who {
                    Who::Running { .. } => false,
                    Who::Dead => world.restarts == 0,
                    Who::Ended(..) => true,
                })
            },
        ),
        (
            all_goes_well && all_come_back,
            "in the end all have what they asked for",
            |cache, world| world.who.iter().all(|who| has_succeeded(cache, who)),
        ),
    ]
}

fn states(cache: &Cache) -> [(bool, &'static str, Holds); 15] {
    let bounds = &cache.bounds;
    let before = |what| bounds.before.contains(&what);
    let online = bounds.network == Network::Allowed;
    let lies = online && bounds.registry == Registry::Anything;
    let index = INDEXES.contains(&bounds.wanted[0]);
    let brings = online && index;
    let twice = bounds.wanted[1..].contains(&bounds.wanted[0]);
    let faults = bounds.faults > 0;
    [
        (online, "staged", |c, w| reached(c, w, State::Staged)),
        (online, "copied", |c, w| reached(c, w, State::Copied)),
        (brings, "inspected", |c, w| reached(c, w, State::Inspected)),
        (brings, "verified", |c, w| reached(c, w, State::Verified)),
        (index, "committed", |c, w| reached(c, w, State::Committed)),
        (lies || !brings || faults, "failed", |c, w| {
            reached(c, w, State::Failed)
        }),
        (brings, "published", |c, w| {
            succeeded(c, w, Success::Published)
        }),
        (before(Before::Index), "a hit", |c, w| {
            succeeded(c, w, Success::Hit)
        }),
        (online && twice, "already there", |c, w| {
            succeeded(c, w, Success::AlreadyThere)
        }),
        (lies, "failed in staged", |c, w| {
            failed(c, w, |at, _| at == State::Staged)
        }),
        (lies || !index, "failed in copied", |c, w| {
            failed(c, w, |at, _| at == State::Copied)
        }),
        (lies, "failed in inspected", |c, w| {
            failed(c, w, |at, _| at == State::Inspected)
        }),
        (faults, "failed in pending", |c, w| {
            failed(c, w, |at, _| at == State::Pending)
        }),
        (faults && brings, "failed in verified", |c, w| {
            failed(c, w, |at, _| at == State::Verified)
        }),
        (before(Before::Corrupt), "moved aside", |_, w| {
            let quarantine = kept(&format!("{ROOT}/.skopeo-index/quarantine"));
            w.fs.list(quarantine).next().is_some()
        }),
    ]
}

fn refusals(cache: &Cache) -> [(bool, &'static str, Holds); 8] {
    let bounds = &cache.bounds;
    let online = bounds.network == Network::Allowed;
    let lies = online && bounds.registry == Registry::Anything;
    let index = INDEXES.contains(&bounds.wanted[0]);
    let by_copy = bounds.method == Method::SkopeoCopy;
    [
        (lies || !index, "refused: not an index", |c, w| {
            failed(c, w, |_, why| why == Refusal::NotAnIndex)
        }),
        (lies, "refused: digest mismatch", |c, w| {
            failed(c, w, |_, why| why == Refusal::DigestMismatch)
        }),
        (
            lies && by_copy && index,
            "refused: opinion differs",
            |c, w| failed(c, w, |_, why| why == Refusal::OpinionDiffers),
        ),
        (lies && by_copy, "refused: reread differs", |c, w| {
            failed(c, w, |_, why| why == Refusal::RereadDiffers)
        }),
        (bounds.removals > 0, "refused: read back differs", |c, w| {
            failed(c, w, |_, why| why == Refusal::ReadBackDiffers)
        }),
        (!online, "refused: offline", |c, w| {
            failed(c, w, |_, why| why == Refusal::Offline)
        }),
        (lies || bounds.faults > 0, "refused: trouble", |c, w| {
            failed(c, w, |_, why| why == Refusal::Trouble)
        }),
        (lies, "refused: gave up", |c, w| {
            failed(c, w, |_, why| why == Refusal::GaveUp)
        }),
    ]
}

fn reached(cache: &Cache, world: &World, state: State) -> bool {
    let mut standing = world.who.iter().filter_map(|who| cache.standing(who));
    standing.any(|standing| standing.reached.contains(&state))
}

fn succeeded(cache: &Cache, world: &World, how: Success) -> bool {
    let mut standing = world.who.iter().filter_map(|who| cache.standing(who));
    standing.any(|standing| matches!(standing.next, Next::Succeeded(s) if s == how))
}

fn failed(cache: &Cache, world: &World, so: fn(State, Refusal) -> bool) -> bool {
    let mut standing = world.who.iter().filter_map(|who| cache.standing(who));
    standing.any(|standing| matches!(standing.next, Next::Failed(at, why) if so(at, why)))
}

fn has_succeeded(cache: &Cache, who: &Who) -> bool {
    let standing = cache.standing(who);
    standing.is_some_and(|standing| matches!(standing.next, Next::Succeeded(_)))
}

fn belongs(digest: Digest, bytes: Text) -> bool {
    Digest::of(bytes.as_bytes()) == digest && Index::parse(bytes.as_bytes()).is_ok()
}

/// Whether somebody else's file or directory stood there before anybody came.
fn was_there(before: Before) -> bool {
    matches!(before, Before::Index | Before::Corrupt | Before::Directory)
}

/// Whether nothing but an index with that SHA-256 is at a digest's name,
/// except what was there before anybody came.
fn only_what_belongs(world: &World) -> bool {
    world.fs.list(ROOT).all(|(path, node)| {
        let name = path.rsplit('/').next().expect("a name");
        let Ok(digest) = name.parse::<Digest>() else {
            return true;
        };
        match node {
            Node::Dir => world.before == Before::Directory,
            Node::File(file) if was_there(world.before) && file == (path, 0) => true,
            Node::File(file) => belongs(digest, world.fs.bytes(file)),
        }
    })
}

fn is_there(world: &World, digest: Digest) -> bool {
    match world.fs.node(object(digest)) {
        Some(Node::File(file)) => belongs(digest, world.fs.bytes(file)),
        _ => false,
    }
}

fn keeps_promises(world: &World) -> bool {
    world.promised.iter().all(|digest| {
        let recorded = world.log.contains(&(*digest, State::Committed));
        recorded && is_there(world, *digest)
    })
}

/// Whether one more process, in a world where all goes well, fetches each
/// digest and leaves nothing behind.
fn next_run_is_well(cache: &Cache, world: &World) -> bool {
    let indexes = cache.bounds.wanted.iter().filter(|w| INDEXES.contains(w));
    let mut world = world.clone();
    for (n, wanted) in indexes.chain([&INDEXES[1]]).enumerate() {
        let name = char::from(b'Z' - u8::try_from(n).expect("few"));
        world.who = vec![cache.start(name, wanted, Network::Allowed)];
        if !goes_on_alone(cache, &mut world)
            || !keeps_promises(&world)
            || !is_there(&world, Digest::of(wanted.as_bytes()))
        {
            return false;
        }
    }
    let ours = kept(&format!("{ROOT}/.skopeo-index"));
    let left = |path: &str| path.contains("/staging-");
    world.fs.list(ours).all(|(path, _)| !left(path)) && only_what_belongs(&world)
}

/// Lets the only process go on to its end; whether it comes to one.
fn goes_on_alone(cache: &Cache, world: &mut World) -> bool {
    while let Who::Running { at, luck } = world.who[0] {
        let Next::Wants(call) = &cache.processes.standing(at).next else {
            unreachable!("who runs wants something")
        };
        let honest = cache.answers(&world.fs, call).into_iter().next();
        let answer = match honest {
            Some(honest) => Some(brought(&mut world.fs, call, honest)),
            None => cache.done(world, 0, call),
        };
        let Some(answer) = answer else { return false };
        cache.takes(world, 0, answer, luck);
    }
    true
}

/// Whether whoever waits for a lock waits for one who goes on, or who waits for
/// one who does, and so on: never in a circle.
fn nobody_waits_for_ever(cache: &Cache, world: &World) -> bool {
    let all = world.who.len();
    (0..all).all(|who| {
        let chain = std::iter::successors(Some(who), |who| cache.waits_for(world, *who));
        chain.take(all + 1).count() <= all
    })
}

/// Whether every object that wasn't there before was recorded as verified.
fn is_recorded(cache: &Cache, world: &World) -> bool {
    cache.bounds.wanted.iter().all(|wanted| {
        let digest = Digest::of(wanted.as_bytes());
        let there = match world.fs.node(object(digest)) {
            Some(Node::File(file)) => !was_there(world.before) || file != (object(digest), 0),
            _ => false,
        };
        !there || world.log.contains(&(digest, State::Verified))
    })
}
