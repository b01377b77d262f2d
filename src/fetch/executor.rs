//! Runs many fetches at once: `wants → perform → step → record`, until each has ended.
//!
//! ```text
//!  requests ─▶ groups of one digest ─▶ hits, in batches ─▶ reports, in the order of the requests
//!                                         └─ misses ─▶ workers ─▶┘
//! ```
//!
//! Requests for one digest form a group, which one worker takes in order, so that a
//! duplicate is fetched once. Workers start once there is a miss. A transition is recorded before it is acted on: a fetch
//! doesn't publish before the record of `Verified` is durable, nor report success before
//! that of `Committed` is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, Scope};
use std::time::Instant;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    Committed, EffectError, Event, Failed, FailureKind, Fetch, FetchPolicy, ManifestBytes, Outcome,
    Task,
};
use skopeo_index_core::request::Request;

use super::{
    EngineUse, FetchId, FetchReport, Observer, Performed, Performer, Trace, Transition, Veto,
};
use crate::os::best_effort;

/// Runs fetches, whose effects a [`Performer`] performs.
pub struct Executor<'a> {
    /// Performs effects.
    pub performer: Performer<'a>,
    /// The rules of every fetch.
    pub policy: FetchPolicy,
    /// Number of concurrent fetches.
    pub jobs: NonZeroUsize,
    /// Observers, in the order in which they are called.
    pub observers: &'a [&'a dyn Observer],
}

/// Limit of reports that wait for their delivery, so that memory doesn't grow where the
/// workers are faster than the receiver.
const MAX_WAITING_REPORTS: usize = 256;

/// Requests for one digest, each with its positions in the input.
pub(super) type Group<'r> = Vec<(&'r Request, Vec<usize>)>;

/// A group without a usable object, and what its look-up came to; `None` where it is to
/// be looked up again.
pub(super) struct Miss<'g, 'r> {
    pub(super) group: &'g Group<'r>,
    pub(super) looked_up: Option<Outcome<ManifestBytes>>,
}

impl<'g> Miss<'g, '_> {
    /// The requests in order, each with its positions, and the outcome of its look-up. That
    /// of the first is of no use to the others.
    fn requests(
        &self,
    ) -> impl Iterator<Item = (&'g Request, &'g [usize], Option<Outcome<ManifestBytes>>)> {
        let mut looked_up = self.looked_up.clone();
        let requests = self.group.iter();
        requests.map(move |(request, positions)| (*request, &**positions, looked_up.take()))
    }
}

impl Executor<'_> {
    /// Fetches all requests, and reports each in their order, as soon as those before it
    /// have been reported.
    pub fn run(&self, requests: &[Request], mut report: impl FnMut(&FetchReport)) {
        let groups = group_by_digest(requests);
        let (mut waiting, mut next_position) = (HashMap::new(), 0);
        let mut deliver = |positions: &[usize], fetched: Arc<FetchReport>| {
            waiting.extend(positions.iter().map(|at| (*at, Arc::clone(&fetched))));
            while let Some(fetched) = waiting.remove(&next_position) {
                report(&fetched);
                next_position += 1;
            }
        };
        let misses = self.report_hits(&groups, &mut deliver);
        let workers = self.jobs.get().min(misses.len());
        if workers <= 1 {
            return self.run_in_this_thread(&misses, deliver);
        }
        let (sender, reports) = mpsc::sync_channel(MAX_WAITING_REPORTS);
        let next = AtomicUsize::new(0);
        let queue = Queue {
            misses: &misses,
            next: &next,
            reports: sender,
        };
        std::thread::scope(|scope| {
            if self.spawn_worker(scope, queue.clone(), workers).is_err() {
                return self.run_in_this_thread(&misses, deliver);
            }
            drop(queue);
            for (positions, fetched) in reports {
                deliver(positions, fetched);
            }
        });
    }

    fn run_in_this_thread(
        &self,
        misses: &[Miss<'_, '_>],
        mut deliver: impl FnMut(&[usize], Arc<FetchReport>),
    ) {
        for (request, positions, looked_up) in misses.iter().flat_map(Miss::requests) {
            let fetched = self.fetch(FetchId(positions[0]), request, looked_up);
            deliver(positions, Arc::new(fetched));
        }
    }

    /// Spawns a worker that spawns the next one before it starts on the queue. When the
    /// queue is empty first, the remaining workers are never spawned.
    fn spawn_worker<'s, 'r: 's>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        queue: Queue<'r>,
        workers: usize,
    ) -> io::Result<()> {
        let is_empty = queue.next.load(Ordering::Relaxed) >= queue.misses.len();
        if workers == 0 || is_empty {
            return Ok(());
        }
        let run = move || {
            // If the system has no more threads, fewer workers do the work.
            best_effort(self.spawn_worker(scope, queue.clone(), workers - 1));
            queue.drain(|id, request, looked_up| self.fetch(id, request, looked_up));
        };
        Builder::new().spawn_scoped(scope, run).map(drop)
    }

    /// Runs one fetch from beginning to end, in this thread. `looked_up` is the outcome of
    /// its first effect, if that was performed.
    fn fetch(
        &self,
        id: FetchId,
        request: &Request,
        looked_up: Option<Outcome<ManifestBytes>>,
    ) -> FetchReport {
        for observer in self.observers {
            observer.began(id, request);
        }
        let started = Instant::now();
        let mut engine = None;
        let result = self.drive(id, request, looked_up, &mut engine);
        let report = FetchReport {
            request: request.clone(),
            took: started.elapsed(),
            engine,
            result,
        };
        self.end(id, report)
    }

    /// Shows the end of a fetch to the observers.
    pub(super) fn end(&self, id: FetchId, report: FetchReport) -> FetchReport {
        for observer in self.observers {
            observer.ended(id, &report);
        }
        report
    }

    /// A fetch at its beginning.
    pub(super) fn begin(&self, request: &Request) -> Fetch<ManifestBytes> {
        Fetch::new(Task {
            request: request.clone(),
            policy: self.policy,
            verifiers: (self.performer.verifiers).map_or(0, |it| it.verifiers().count()),
        })
    }

    #[expect(clippy::result_large_err, reason = "a report holds either by value")]
    fn drive(
        &self,
        id: FetchId,
        request: &Request,
        mut looked_up: Option<Outcome<ManifestBytes>>,
        engine: &mut Option<EngineUse>,
    ) -> Result<Committed<ManifestBytes>, Failed> {
        let mut fetch = self.begin(request);
        // Passed to the machine in place of the next outcome.
        let mut failure: Option<EffectError> = None;
        while let Some(effect) = fetch.wants() {
            let failed = failure.take().map(|error| Outcome::Failed { error });
            let Performed { outcome, trace } = match failed.or_else(|| looked_up.take()) {
                Some(outcome) => Performed {
                    outcome,
                    trace: Trace::default(),
                },
                None => self.performer.perform(&effect),
            };
            if trace.engine.is_some() {
                engine.clone_from(&trace.engine);
            }
            let (next, stepped) = step(fetch, outcome);
            fetch = next;
            failure = match stepped {
                Ok(event) => self.record(id, request, &Transition { event, trace }),
                Err(error) => Some(error),
            };
        }
        if let Some(staging) = fetch.staging() {
            // The next run sweeps what can't be removed now.
            best_effort(
                self.performer
                    .store
                    .remove_staging(staging, fetch.attempt()),
            );
        }
        conclude(fetch, failure)
    }

    /// Calls the observers; returns the first veto.
    fn record(
        &self,
        id: FetchId,
        request: &Request,
        transition: &Transition,
    ) -> Option<EffectError> {
        let mut observers = self.observers.iter();
        let veto = observers.find_map(|o| o.transition(id, request, transition).err());
        veto.map(|Veto(error)| error)
    }
}

/// Takes a step; returns the state after it, and its event or why there is none.
pub(super) fn step(
    fetch: Fetch<ManifestBytes>,
    outcome: Outcome<ManifestBytes>,
) -> (Fetch<ManifestBytes>, Result<Event, EffectError>) {
    match fetch.step(outcome) {
        Ok((next, event)) => (next, Ok(event)),
        Err(refusal) => {
            // The performer answered another effect than it was given.
            debug_assert!(false, "{refusal}");
            let error = EffectError::Command {
                kind: FailureKind::Other,
                message: refusal.to_string(),
            };
            (refusal.state, Err(error))
        }
    }
}

/// The result of a fetch that wants nothing more, or whose last step failed or was vetoed.
#[expect(clippy::result_large_err, reason = "a report holds either by value")]
pub(super) fn conclude(
    fetch: Fetch<ManifestBytes>,
    failure: Option<EffectError>,
) -> Result<Committed<ManifestBytes>, Failed> {
    match (fetch, failure) {
        (Fetch::Committed(committed), None) => Ok(committed),
        (ended, failure) => Err(ended.abandon(failure.unwrap_or_else(unrecorded))),
    }
}

/// The failure of a fetch whose end has no record.
pub(super) fn unrecorded() -> EffectError {
    EffectError::AuditLog {
        error: "the end of the fetch was not recorded".to_owned(),
    }
}

/// A report with the positions of its request.
type PositionedReport<'r> = (&'r [usize], Arc<FetchReport>);

/// What the workers share.
#[derive(Clone)]
struct Queue<'r> {
    misses: &'r [Miss<'r, 'r>],
    /// Position of the next miss.
    next: &'r AtomicUsize,
    reports: mpsc::SyncSender<PositionedReport<'r>>,
}

impl Queue<'_> {
    /// Takes misses until the queue is empty.
    fn drain(
        &self,
        fetch: impl Fn(FetchId, &Request, Option<Outcome<ManifestBytes>>) -> FetchReport,
    ) {
        while let Some(miss) = self.misses.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            for (request, positions, looked_up) in miss.requests() {
                let report = Arc::new(fetch(FetchId(positions[0]), request, looked_up));
                // The receiver lives as long as the workers.
                best_effort(self.reports.send((positions, report)));
            }
        }
    }
}

fn group_by_digest(requests: &[Request]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut by_digest: HashMap<Digest, usize> = HashMap::new();
    for (position, request) in requests.iter().enumerate() {
        match by_digest.entry(request.digest()) {
            Entry::Vacant(vacant) => {
                vacant.insert(groups.len());
                groups.push(vec![(request, vec![position])]);
            }
            Entry::Occupied(group) => {
                let group = &mut groups[*group.get()];
                match group.iter_mut().find(|(known, _)| *known == request) {
                    Some((_, positions)) => positions.push(position),
                    None => group.push((request, vec![position])),
                }
            }
        }
    }
    groups
}
