//! Many fetches at once: `wants → perform → step → record`, until each has
//! ended.
//!
//! ```text
//!  requests ─▶ groups of one digest ─▶ workers ─▶ reports, in the order of the requests
//! ```
//!
//! Requests for one digest are in one group, which one worker does in order, so
//! that a digest asked for twice is fetched once. What the machine decides is
//! recorded before it is acted on: a fetch doesn't publish before the record of
//! `Verified` is kept, nor report success before that of `Committed` is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, Scope};
use std::time::{Duration, Instant};

use crate::digest::Digest;
use crate::machine::{Cause, Class, Committed, Event, Fetch, Outcome, Plan, State, Task, Trouble};
use crate::perform::{CommandRecord, Halt, Performer};
use crate::request::Request;
use crate::skopeo::CommandRunner;
use crate::store::Disk;

/// Sees every fetch: the audit log, which may refuse to go on, and whoever
/// shows progress. Called by many threads at once.
pub trait Witness: Sync {
    /// A fetch begins.
    fn began(&self, of: Id, request: &Request) {
        let _nothing_to_show = (of, request);
    }

    /// A transition was made, and is acted on after this returns.
    ///
    /// # Errors
    /// [`Unrecorded`] ends the fetch: what can't be recorded isn't done.
    fn transition(&self, of: Id, request: &Request, step: &Step) -> Result<(), Unrecorded>;

    /// A fetch has ended.
    fn ended(&self, of: Id, report: &Report) {
        let _nothing_to_show = (of, report);
    }
}

/// Which fetch of a run, by the place of its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub usize);

/// A transition, and the command that led to it.
#[derive(Debug)]
pub struct Step {
    /// The transition.
    pub event: Event,
    /// The command that was run.
    pub command: Option<CommandRecord>,
}

/// A record could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unrecorded(pub String);

/// How a fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was asked for.
    pub request: Request,
    /// How long it took.
    pub took: Duration,
    /// The object in the cache, or why it isn't there.
    pub result: Result<Committed<crate::machine::Bytes>, Failure>,
}

/// Why a fetch failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed in state {at}: {cause}")]
pub struct Failure {
    /// The state it failed in.
    pub at: State,
    /// Attempts at copying; 0 where none was made.
    pub attempts: u32,
    /// Why.
    pub cause: Cause,
}

/// Fetches, by means of a [`Performer`].
pub struct Executor<'a, R, D> {
    /// Does what the fetches want.
    pub performer: Performer<'a, R, D>,
    /// The rules of every fetch.
    pub plan: Plan,
    /// How many at once.
    pub jobs: NonZeroUsize,
    /// Who sees it, in this order.
    pub witnesses: &'a [&'a dyn Witness],
}

/// The requests of one digest: each, with the places where it was asked for.
type Group<'r> = Vec<(&'r Request, Vec<usize>)>;

impl<R: CommandRunner, D: Disk> Executor<'_, R, D> {
    /// Fetches all, and reports each in the order of the requests, as soon as
    /// those before it have been reported.
    ///
    /// # Errors
    /// [`Halt`], from the stand-ins of tests only.
    pub fn run(&self, requests: &[Request], mut report: impl FnMut(&Report)) -> Result<(), Halt> {
        let groups = grouped(requests);
        let (mut waiting, mut first) = (HashMap::new(), 0);
        let mut take = |places: &[usize], fetched: Arc<Report>| {
            waiting.extend(places.iter().map(|place| (*place, Arc::clone(&fetched))));
            while let Some(fetched) = waiting.remove(&first) {
                report(&fetched);
                first += 1;
            }
        };
        let workers = self.jobs.get().min(groups.len());
        if workers == 1 {
            return groups.iter().flatten().try_for_each(|(request, places)| {
                take(places, Arc::new(self.fetch(Id(places[0]), request)?));
                Ok(())
            });
        }
        let (next, (done, reports)) = (AtomicUsize::new(0), mpsc::channel());
        let work = Work {
            groups: &groups,
            next: &next,
            done,
        };
        std::thread::scope(|scope| {
            if self.worker(scope, work.clone(), workers).is_err() {
                work.do_by(|id, request| self.fetch(id, request));
            }
            drop(work);
            for (places, fetched) in reports {
                take(places, fetched?);
            }
            Ok(())
        })
    }

    /// Starts a thread that starts the next one, and does what there is to do:
    /// where it is done before all have started, as hits are, the others never do.
    fn worker<'s, 'r: 's>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        work: Work<'r>,
        workers: usize,
    ) -> io::Result<()> {
        let all_taken = work.next.load(Ordering::Relaxed) >= work.groups.len();
        if workers == 0 || all_taken {
            return Ok(());
        }
        let run = move || {
            let _as_many_as_there_are = self.worker(scope, work.clone(), workers - 1);
            work.do_by(|id, request| self.fetch(id, request));
        };
        Builder::new().spawn_scoped(scope, run).map(drop)
    }

    /// One fetch, from beginning to end, in this thread.
    ///
    /// # Errors
    /// [`Halt`], as for [`Executor::run`].
    pub fn fetch(&self, id: Id, request: &Request) -> Result<Report, Halt> {
        self.witnesses
            .iter()
            .for_each(|witness| witness.began(id, request));
        let started = Instant::now();
        let result = self.result(id, request)?;
        let report = Report {
            request: request.clone(),
            took: started.elapsed(),
            result,
        };
        self.witnesses
            .iter()
            .for_each(|witness| witness.ended(id, &report));
        Ok(report)
    }

    fn result(
        &self,
        id: Id,
        request: &Request,
    ) -> Result<Result<Committed<crate::machine::Bytes>, Failure>, Halt> {
        let mut fetch = Fetch::new(Task {
            request: request.clone(),
            plan: self.plan,
        });
        let mut staged = None;
        let mut unrecorded = None;
        while let Some(effect) = fetch.wants() {
            let (outcome, command) = match unrecorded.take() {
                Some(trouble) => (Outcome::Trouble { trouble }, None),
                None => {
                    let performed = self.performer.perform(&effect)?;
                    (performed.outcome, performed.command)
                }
            };
            if let Outcome::Staged { at } = &outcome {
                staged = Some(at.clone());
            }
            let (next, event) = match fetch.step(outcome) {
                Ok(stepped) => stepped,
                Err(refused) => {
                    // A performer that answers something else than was asked.
                    debug_assert!(false, "{refused}");
                    unrecorded = Some(Trouble::Command {
                        class: Class::Other,
                        message: refused.to_string(),
                    });
                    fetch = refused.state;
                    continue;
                }
            };
            fetch = next;
            let step = Step { event, command };
            let refusal = self
                .witnesses
                .iter()
                .find_map(|w| w.transition(id, request, &step).err());
            unrecorded = refusal.map(|Unrecorded(error)| Trouble::Unrecorded { error });
        }
        if let Some(at) = staged {
            // What can't be removed now is swept at the next start.
            let _swept_later = self.performer.store.unstage(&at, fetch.attempt());
        }
        let attempts = fetch.attempt();
        Ok(match (fetch, unrecorded) {
            (Fetch::Committed(committed), None) => Ok(committed),
            (Fetch::Failed(failed), _) => {
                let (at, cause) = (failed.at(), failed.cause().clone());
                Err(Failure {
                    at,
                    attempts,
                    cause,
                })
            }
            // It is in the cache, and nobody can show it.
            (ended, trouble) => {
                let error = "no record of the end".to_owned();
                let trouble = trouble.unwrap_or(Trouble::Unrecorded { error });
                Err(Failure {
                    at: ended.state(),
                    attempts,
                    cause: Cause::Trouble { trouble },
                })
            }
        })
    }
}

/// Where a request was asked for, and what came of it.
type Done<'r> = (&'r [usize], Result<Arc<Report>, Halt>);

/// What the workers share.
#[derive(Clone)]
struct Work<'r> {
    groups: &'r [Group<'r>],
    /// The first group that nobody has taken.
    next: &'r AtomicUsize,
    done: mpsc::Sender<Done<'r>>,
}

impl Work<'_> {
    /// Takes group by group, until none is left.
    fn do_by(&self, fetch: impl Fn(Id, &Request) -> Result<Report, Halt>) {
        while let Some(group) = self.groups.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            for (request, places) in group {
                let fetched = fetch(Id(places[0]), request).map(Arc::new);
                // Nobody listens any more after a halt.
                if self.done.send((places, fetched)).is_err() {
                    return;
                }
            }
        }
    }
}

fn grouped(requests: &[Request]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut by_digest: HashMap<Digest, usize> = HashMap::new();
    for (place, request) in requests.iter().enumerate() {
        match by_digest.entry(request.digest()) {
            Entry::Vacant(vacant) => {
                vacant.insert(groups.len());
                groups.push(vec![(request, vec![place])]);
            }
            Entry::Occupied(group) => {
                let group = &mut groups[*group.get()];
                match group.iter_mut().find(|(known, _)| *known == request) {
                    Some((_, places)) => places.push(place),
                    None => group.push((request, vec![place])),
                }
            }
        }
    }
    groups
}
