//! One process: the program's own session over answers that the checker chooses.
//!
//! The state of a process is its position in the tree of all answers that it can get. For
//! each new answer it is run again from the beginning, up to the first call that has no
//! answer yet.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skopeo_index::fetch::{EngineChoice, FetchReport, Performer};
use skopeo_index::os::CancelToken;
use skopeo_index::session::{Session, SessionConfig};
use skopeo_index::skopeo::Skopeo;
use skopeo_index::store::Store;
use skopeo_index::verifier::VerifierRunner;
use skopeo_index_core::audit::Labels;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    Cause, FetchPolicy, Method, Network, Placement, Provenance, State,
};
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::SkopeoOptions;

use crate::call::{Answer, Call};
use crate::file_system::{FileId, Text};
use crate::seeded_bug::SeededBug;
use crate::simulation::{SimulatedCrash, SimulatedVerifiers, Simulation};

/// Where the cache is.
pub const ROOT: Text = "/srv/cache";

/// What a process fetches, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Unique among all processes of a world, crashed ones included.
    pub name: char,
    pub digest: Digest,
    pub engine: EngineChoice,
    pub method: Method,
    pub network: Network,
    pub attempts: u32,
    pub verifiers: u8,
    pub bug: Option<SeededBug>,
}

/// A process with the answers that it got.
pub type HistoryId = usize;

/// What a process has done with the answers that it got.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub status: Status,
    pub locks: Vec<FileId>,
    /// The states that its fetch has been in.
    pub reached: Vec<State>,
}

#[derive(Clone, Debug)]
pub enum Status {
    /// It makes this call next.
    Calling(Call),
    Committed(CommitKind),
    Failed(State, CauseKind),
}

/// The causes by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseKind {
    NotAnIndex,
    DigestMismatch,
    SkopeoDigestMismatch,
    CopyMismatch,
    ReadBackMismatch,
    RefusedByVerifier,
    Offline,
    EffectFailed,
    RetriesExhausted,
}

impl From<&Cause> for CauseKind {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::NotAnIndex { .. } => Self::NotAnIndex,
            Cause::DigestMismatch { .. } => Self::DigestMismatch,
            Cause::SkopeoDigestMismatch { .. } => Self::SkopeoDigestMismatch,
            Cause::CopyMismatch { .. } => Self::CopyMismatch,
            Cause::ReadBackMismatch { .. } => Self::ReadBackMismatch,
            Cause::RefusedByVerifier { .. } => Self::RefusedByVerifier,
            Cause::Offline { .. } => Self::Offline,
            Cause::EffectFailed { .. } => Self::EffectFailed,
            Cause::RetriesExhausted { .. } => Self::RetriesExhausted,
        }
    }
}

/// Provenance and placement by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitKind {
    Hit,
    New,
    AlreadyThere,
    Replaced,
}

impl From<&Provenance> for CommitKind {
    fn from(provenance: &Provenance) -> Self {
        match provenance {
            Provenance::Hit => Self::Hit,
            Provenance::Fetched { placement, .. } => match placement {
                Placement::New => Self::New,
                Placement::AlreadyThere => Self::AlreadyThere,
                Placement::Replaced(_) => Self::Replaced,
            },
        }
    }
}

impl From<FetchReport> for Status {
    fn from(report: FetchReport) -> Self {
        match report.result {
            Ok(committed) => Self::Committed(committed.provenance().into()),
            Err(failed) => Self::Failed(failed.state(), failed.cause().into()),
        }
    }
}

/// All processes, each with every sequence of answers that it has been given.
#[derive(Default)]
pub struct Histories(Mutex<HistoryTree>);

#[derive(Default)]
struct HistoryTree {
    nodes: Vec<History>,
    jobs: HashMap<Job, HistoryId>,
    next: HashMap<(HistoryId, Answer), HistoryId>,
}

struct History {
    job: Arc<Job>,
    /// The last answer, and the history before it.
    last: Option<(HistoryId, Answer)>,
    snapshot: Arc<Snapshot>,
}

impl HistoryTree {
    fn add(&mut self, history: History) -> HistoryId {
        self.nodes.push(history);
        self.nodes.len() - 1
    }
}

impl Histories {
    fn tree(&self) -> MutexGuard<'_, HistoryTree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process at its first call.
    pub fn start(&self, job: &Job) -> HistoryId {
        let mut tree = self.tree();
        if let Some(id) = tree.jobs.get(job) {
            return *id;
        }
        let id = tree.add(History {
            job: Arc::new(job.clone()),
            last: None,
            snapshot: Arc::new(run(job, Vec::new())),
        });
        tree.jobs.insert(job.clone(), id);
        id
    }

    /// The same process after one more answer.
    pub fn after(&self, id: HistoryId, answer: Answer) -> HistoryId {
        let mut tree = self.tree();
        if let Some(next) = tree.next.get(&(id, answer.clone())) {
            return *next;
        }
        let mut answers = vec![answer.clone()];
        let mut last = &tree.nodes[id].last;
        while let Some((before, answer)) = last {
            answers.push(answer.clone());
            last = &tree.nodes[*before].last;
        }
        answers.reverse();
        let job = Arc::clone(&tree.nodes[id].job);
        let snapshot = Arc::new(run(&job, answers));
        let last = Some((id, answer.clone()));
        let next = tree.add(History {
            job,
            last,
            snapshot,
        });
        tree.next.insert((id, answer), next);
        next
    }

    pub fn snapshot(&self, id: HistoryId) -> Arc<Snapshot> {
        Arc::clone(&self.tree().nodes[id].snapshot)
    }

    pub fn job(&self, id: HistoryId) -> Arc<Job> {
        Arc::clone(&self.tree().nodes[id].job)
    }

    /// The number of different histories.
    pub fn count(&self) -> usize {
        self.tree().nodes.len()
    }
}

/// Runs a process up to the first call that has no answer.
fn run(job: &Job, answers: Vec<Answer>) -> Snapshot {
    static CANCEL: LazyLock<CancelToken> =
        LazyLock::new(|| CancelToken::new(None).expect("a pipe"));
    let simulation = Simulation::new(job.bug, job.name, answers);
    let store = Store::new(PathBuf::from(ROOT), Arc::new(simulation.clone()));
    let attempts = NonZeroU32::new(job.attempts).expect("an attempt");
    let skopeo = Skopeo {
        runner: &simulation,
        options: &SkopeoOptions::default(),
        command_timeout: Duration::from_secs(1),
    };
    let verifiers = SimulatedVerifiers::new(job.verifiers, simulation.clone());
    let config = SessionConfig {
        performer: Performer {
            store: &store,
            source: job.engine.source(&simulation, skopeo, attempts),
            verifiers: (job.verifiers > 0).then_some(&verifiers as &dyn VerifierRunner),
            retry_delay: Duration::ZERO,
            cancel: &CANCEL,
        },
        policy: FetchPolicy {
            method: job.method,
            attempts,
            network: job.network,
        },
        // A worker thread would turn a simulated crash into a panic of its own.
        jobs: NonZeroUsize::MIN,
        log: None,
        labels: &Labels::default(),
        display: &simulation,
        warn: &|_| {},
    };
    let location = Location::Docker {
        tls_verify: TlsVerify::Unset,
    };
    let request = Request::new("localhost/a".parse().expect("a name"), location, job.digest);
    let session = || {
        let mut status = None;
        let session = Session::begin(config).expect("a session without a log");
        session.fetch(&[request], |report| {
            if report.result.is_ok() {
                simulation.report();
            }
            status = Some(report.clone().into());
        });
        session.end().expect("a session without a log");
        status.expect("a report")
    };
    let status = match catch_unwind(AssertUnwindSafe(session)) {
        Ok(status) => status,
        Err(panic) => match panic.downcast::<SimulatedCrash>() {
            Ok(crash) => Status::Calling(crash.call),
            Err(panic) => resume_unwind(panic),
        },
    };
    Snapshot {
        status,
        locks: simulation.locks(),
        reached: simulation.reached(),
    }
}
