//! Runs many fetches at once: `wants → perform → step → record`, until each has ended.
//!
//! ```text
//!  requests ─▶ groups of one digest ─▶ workers ─▶ reports, in the order of the requests
//! ```
//!
//! Requests for one digest form a group, which one worker takes in order, so that a
//! duplicate is fetched once. A transition is recorded before it is acted on: a fetch
//! doesn't publish before the record of `Verified` is durable, nor report success before
//! that of `Committed` is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, Scope};
use std::time::{Duration, Instant};

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    Committed, EffectError, Event, Failed, FailureKind, Fetch, FetchPolicy, ManifestBytes, Outcome,
    Task,
};
use skopeo_index_core::request::Request;

use super::{EngineUse, Performed, Performer, Trace};
use crate::os::best_effort;

/// Observes every fetch, from many threads at once. The audit log may veto a transition;
/// progress displays only watch.
pub trait Observer: Sync {
    /// A fetch begins.
    fn began(&self, _id: FetchId, _request: &Request) {}

    /// A transition was made. It is acted on once this returns.
    ///
    /// # Errors
    /// [`Veto`] ends the fetch: what can't be recorded isn't done.
    fn transition(
        &self,
        id: FetchId,
        request: &Request,
        transition: &Transition,
    ) -> Result<(), Veto>;

    /// A fetch has ended.
    fn ended(&self, _id: FetchId, _report: &FetchReport) {}
}

/// A fetch of a run: the position of its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub usize);

/// A transition, and how it came about.
#[derive(Debug)]
pub struct Transition {
    /// The transition.
    pub event: Event,
    /// How its effect was performed.
    pub trace: Trace,
}

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Veto(pub EffectError);

/// How a fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReport {
    /// The request.
    pub request: Request,
    /// Duration of the fetch.
    pub took: Duration,
    /// The engine that fetched last, if one did.
    pub engine: Option<EngineUse>,
    /// The object in the cache, or why it isn't there.
    pub result: Result<Committed<ManifestBytes>, Failed>,
}

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
type Group<'r> = Vec<(&'r Request, Vec<usize>)>;

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
        let workers = self.jobs.get().min(groups.len());
        if workers == 1 {
            return self.run_in_this_thread(&groups, deliver);
        }
        let (sender, reports) = mpsc::sync_channel(MAX_WAITING_REPORTS);
        let next = AtomicUsize::new(0);
        let queue = Queue {
            groups: &groups,
            next: &next,
            reports: sender,
        };
        std::thread::scope(|scope| {
            if self.spawn_worker(scope, queue.clone(), workers).is_err() {
                return self.run_in_this_thread(&groups, deliver);
            }
            drop(queue);
            for (positions, fetched) in reports {
                deliver(positions, fetched);
            }
        });
    }

    fn run_in_this_thread(
        &self,
        groups: &[Group<'_>],
        mut deliver: impl FnMut(&[usize], Arc<FetchReport>),
    ) {
        for (request, positions) in groups.iter().flatten() {
            let fetched = self.fetch(FetchId(positions[0]), request);
            deliver(positions, Arc::new(fetched));
        }
    }

    /// Spawns a worker that spawns the next one before it starts on the queue. When the
    /// queue is empty first (cache hits), the remaining workers are never spawned.
    fn spawn_worker<'s, 'r: 's>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        queue: Queue<'r>,
        workers: usize,
    ) -> io::Result<()> {
        let is_empty = queue.next.load(Ordering::Relaxed) >= queue.groups.len();
        if workers == 0 || is_empty {
            return Ok(());
        }
        let run = move || {
            // If the system has no more threads, fewer workers do the work.
            best_effort(self.spawn_worker(scope, queue.clone(), workers - 1));
            queue.drain(|id, request| self.fetch(id, request));
        };
        Builder::new().spawn_scoped(scope, run).map(drop)
    }

    /// Runs one fetch from beginning to end, in this thread.
    pub fn fetch(&self, id: FetchId, request: &Request) -> FetchReport {
        for observer in self.observers {
            observer.began(id, request);
        }
        let started = Instant::now();
        let mut engine = None;
        let result = self.drive(id, request, &mut engine);
        let report = FetchReport {
            request: request.clone(),
            took: started.elapsed(),
            engine,
            result,
        };
        for observer in self.observers {
            observer.ended(id, &report);
        }
        report
    }

    #[expect(clippy::result_large_err, reason = "a report holds either by value")]
    fn drive(
        &self,
        id: FetchId,
        request: &Request,
        engine: &mut Option<EngineUse>,
    ) -> Result<Committed<ManifestBytes>, Failed> {
        let mut fetch = Fetch::new(Task {
            request: request.clone(),
            policy: self.policy,
        });
        // Passed to the machine in place of the next outcome.
        let mut failure: Option<EffectError> = None;
        while let Some(effect) = fetch.wants() {
            let Performed { outcome, trace } = match failure.take() {
                Some(error) => Performed {
                    outcome: Outcome::Failed { error },
                    trace: Trace::default(),
                },
                None => self.performer.perform(&effect),
            };
            if trace.engine.is_some() {
                engine.clone_from(&trace.engine);
            }
            match fetch.step(outcome) {
                Ok((next, event)) => {
                    fetch = next;
                    let transition = Transition { event, trace };
                    failure = self.record(id, request, &transition);
                }
                Err(refusal) => {
                    // The performer answered another effect than it was given.
                    debug_assert!(false, "{refusal}");
                    failure = Some(EffectError::Command {
                        kind: FailureKind::Other,
                        message: refusal.to_string(),
                    });
                    fetch = refusal.state;
                }
            }
        }
        if let Some(staging) = fetch.staging() {
            // The next run sweeps what can't be removed now.
            best_effort(
                self.performer
                    .store
                    .remove_staging(staging, fetch.attempt()),
            );
        }
        match (fetch, failure) {
            (Fetch::Committed(committed), None) => Ok(committed),
            (ended, failure) => {
                Err(
                    ended.abandon(failure.unwrap_or_else(|| EffectError::AuditLog {
                        error: "the end of the fetch was not recorded".to_owned(),
                    })),
                )
            }
        }
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

/// A report with the positions of its request.
type PositionedReport<'r> = (&'r [usize], Arc<FetchReport>);

/// What the workers share.
#[derive(Clone)]
struct Queue<'r> {
    groups: &'r [Group<'r>],
    /// Position of the next group.
    next: &'r AtomicUsize,
    reports: mpsc::SyncSender<PositionedReport<'r>>,
}

impl Queue<'_> {
    /// Takes groups until the queue is empty.
    fn drain(&self, fetch: impl Fn(FetchId, &Request) -> FetchReport) {
        while let Some(group) = self.groups.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            for (request, positions) in group {
                let report = Arc::new(fetch(FetchId(positions[0]), request));
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
