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
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{Builder, Scope};
use std::time::Instant;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    Committed, EffectError, Event, Failed, FailureKind, Fetch, FetchPolicy, ManifestBytes, Outcome,
    Task,
};
use skopeo_index_core::request::Request;

use super::performer::command_error;
use super::{EngineUse, FetchId, FetchReport, Observer, Performer, Trace, Transition, Veto};
use crate::os::{best_effort, lock};

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

/// Groups without a usable object in the cache, which workers take in their order.
type Queue<'r> = Mutex<std::vec::IntoIter<&'r Group<'r>>>;

/// A report with the positions of its request.
type PositionedReport<'r> = (&'r [usize], Arc<FetchReport>);

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
        let queue = Mutex::new(misses.into_iter());
        if workers <= 1 {
            return self.drain(&queue, deliver);
        }
        let (sender, reports) = mpsc::sync_channel(MAX_WAITING_REPORTS);
        std::thread::scope(|scope| {
            if self.spawn_worker(scope, &queue, sender, workers).is_err() {
                return self.drain(&queue, deliver);
            }
            for (positions, fetched) in reports {
                deliver(positions, fetched);
            }
        });
    }

    /// Spawns a worker that spawns the next one before it starts on the queue. When the
    /// queue is empty first, the remaining workers are never spawned.
    fn spawn_worker<'s, 'r: 's>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        queue: &'s Queue<'r>,
        reports: mpsc::SyncSender<PositionedReport<'r>>,
        workers: usize,
    ) -> io::Result<()> {
        if workers == 0 || lock(queue).as_slice().is_empty() {
            return Ok(());
        }
        let run = move || {
            // If the system has no more threads, fewer workers do the work.
            best_effort(self.spawn_worker(scope, queue, reports.clone(), workers - 1));
            // The receiver lives as long as the workers.
            self.drain(queue, |positions, report| {
                best_effort(reports.send((positions, report)))
            });
        };
        Builder::new().spawn_scoped(scope, run).map(drop)
    }

    /// Fetches in this thread until the queue is empty.
    fn drain<'r>(&self, queue: &Queue<'r>, mut deliver: impl FnMut(&'r [usize], Arc<FetchReport>)) {
        for group in std::iter::from_fn(|| lock(queue).next()) {
            for (request, positions) in group {
                deliver(positions, self.fetch(FetchId(positions[0]), request));
            }
        }
    }

    /// Runs one fetch from beginning to end, in this thread.
    fn fetch(&self, id: FetchId, request: &Request) -> Arc<FetchReport> {
        let (started, mut engine) = (Instant::now(), None);
        let result = self.drive(id, request, &mut engine);
        self.end(id, request, started, engine, result)
    }

    /// A fetch at its beginning, which the observers see.
    pub(super) fn begin(&self, id: FetchId, request: &Request) -> Fetch<ManifestBytes> {
        for observer in self.observers {
            observer.began(id, request);
        }
        Fetch::new(Task {
            request: request.clone(),
            policy: self.policy,
            verifiers: (self.performer.verifiers).map_or(0, |it| it.verifiers().count()),
        })
    }

    /// The report of a fetch, which the observers see.
    pub(super) fn end(
        &self,
        id: FetchId,
        request: &Request,
        started: Instant,
        engine: Option<EngineUse>,
        result: Result<Committed<ManifestBytes>, Failed>,
    ) -> Arc<FetchReport> {
        let report = FetchReport {
            request: request.clone(),
            took: started.elapsed(),
            engine,
            result,
        };
        for observer in self.observers {
            observer.ended(id, &report);
        }
        Arc::new(report)
    }

    #[expect(clippy::result_large_err, reason = "a report holds either by value")]
    fn drive(
        &self,
        id: FetchId,
        request: &Request,
        engine: &mut Option<EngineUse>,
    ) -> Result<Committed<ManifestBytes>, Failed> {
        let mut fetch = self.begin(id, request);
        // Passed to the machine in place of the next outcome.
        let mut veto: Option<EffectError> = None;
        while let Some(effect) = fetch.wants() {
            let mut trace = Trace::default();
            let outcome = match veto.take() {
                Some(error) => Outcome::Failed { error },
                None => self.performer.perform(&effect, &mut trace),
            };
            if trace.engine.is_some() {
                engine.clone_from(&trace.engine);
            }
            let (next, event) = step(fetch, outcome)?;
            fetch = next;
            veto = self.record(id, request, &Transition { event, trace });
        }
        if let Some(staging) = fetch.staging() {
            // The next run sweeps what can't be removed now.
            best_effort(
                self.performer
                    .store
                    .remove_staging(staging, fetch.attempt()),
            );
        }
        conclude(fetch, veto)
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

/// Takes a step; returns the state after it, and its event.
#[expect(clippy::result_large_err, reason = "a report holds either by value")]
pub(super) fn step(
    fetch: Fetch<ManifestBytes>,
    outcome: Outcome<ManifestBytes>,
) -> Result<(Fetch<ManifestBytes>, Event), Failed> {
    fetch.step(outcome).map_err(|refusal| {
        // The performer answered another effect than it was given.
        debug_assert!(false, "{refusal}");
        let message = refusal.to_string();
        refusal
            .state
            .abandon(command_error(FailureKind::Other, message))
    })
}

/// The result of a fetch that wants nothing more, or whose last transition was vetoed.
#[expect(clippy::result_large_err, reason = "a report holds either by value")]
pub(super) fn conclude(
    fetch: Fetch<ManifestBytes>,
    veto: Option<EffectError>,
) -> Result<Committed<ManifestBytes>, Failed> {
    match (fetch, veto) {
        (Fetch::Committed(committed), None) => Ok(committed),
        (ended, veto) => Err(ended.abandon(veto.unwrap_or_else(unrecorded))),
    }
}

/// The failure of a fetch whose end has no record.
pub(super) fn unrecorded() -> EffectError {
    EffectError::AuditLog {
        error: "the end of the fetch was not recorded".to_owned(),
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
