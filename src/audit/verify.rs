//! Checks a log, line by line. Pure, and of bounded memory.

use std::collections::{BTreeSet, HashMap};

use super::checkpoint::Checkpoint;
use super::merkle::{Frontier, Hash, leaf};
use super::record::{Op, Origin, Record, RecordError, RunId};
use crate::digest::Digest;
use crate::machine::{Event, Facts, Fetch, Plan, State, Task};
use crate::request::Request;

/// Something that isn't as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", at.map_or_else(String::new, |at| format!("record {at}: ")))]
pub struct Finding {
    /// The record's place in the file, from 0; none for the log as a whole.
    pub at: Option<u64>,
    /// What it is.
    pub what: What,
}

/// How bad a finding is, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing, as after a crash.
    Note,
    /// The log is fine, and an object isn't.
    Object,
    /// The log's end is missing.
    Cut,
    /// The log was changed.
    Broken,
}

/// What a finding tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// The line is no record.
    #[error("{0}")]
    Record(RecordError),
    /// A record of another log.
    #[error("it is of another log, {}", .0.as_str())]
    OtherLog(Origin),
    /// A record is missing, doubled or moved.
    #[error("its number is {found}, and {expected} would follow")]
    Sequence {
        /// The number after that of the record before.
        expected: u64,
        /// The number it has.
        found: u64,
    },
    /// The record before is another than the one that this was written after.
    #[error("it doesn't follow the record before, which was changed or replaced")]
    Chain,
    /// The log doesn't begin with its genesis, or begins twice.
    #[error("a log begins with one genesis")]
    Genesis,
    /// A record of a run that hasn't begun, or begins twice.
    #[error("run {} {why}", run.as_str())]
    Run {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The fetch's records can't be a fetch's.
    #[error("fetch {fetch} doesn't replay: {why}")]
    Replay {
        /// Which fetch of the run.
        fetch: u64,
        /// What is wrong.
        why: String,
    },
    /// A run that hasn't ended.
    #[error("run {} has no end: it was killed, or still runs, or the log's end is missing", .0.as_str())]
    Unended(RunId),
    /// The last line has no end.
    #[error("the last line is cut short ({0} bytes); the next run keeps it aside")]
    Torn(u64),
    /// The checkpoint is another log's.
    #[error("the checkpoint is of another log, {}", .0.as_str())]
    OtherCheckpoint(Origin),
    /// Records that there were are missing.
    #[error("the checkpoint has {expected} records, and the log {found}")]
    Shorter {
        /// At the time of the checkpoint.
        expected: u64,
        /// Now.
        found: u64,
    },
    /// Records from before the checkpoint were changed.
    #[error("the first {0} records are not those of the checkpoint: the log was rewritten")]
    Rewritten(u64),
    /// A committed object isn't in the cache as it was.
    #[error("{digest} was committed and is {why}")]
    Object {
        /// The object.
        digest: Digest,
        /// What is wrong.
        why: &'static str,
    },
}

impl What {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Unended(_) => Severity::Note,
            Self::Object { .. } => Severity::Object,
            Self::Torn(_) | Self::Shorter { .. } => Severity::Cut,
            Self::Record(_)
            | Self::OtherLog(_)
            | Self::Sequence { .. }
            | Self::Chain
            | Self::Genesis
            | Self::Run { .. }
            | Self::Replay { .. }
            | Self::OtherCheckpoint(_)
            | Self::Rewritten(_) => Severity::Broken,
        }
    }
}

/// What a log holds, whatever was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where it stands now; `None` for a log without a record.
    pub checkpoint: Option<Checkpoint>,
    /// The objects that were committed, if these were to be kept.
    pub committed: BTreeSet<Digest>,
}

/// Whether a [`Verifier`] keeps the digests of what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It does, 32 bytes for each object.
    Objects,
    /// It doesn't.
    Nothing,
}

/// A line of a log, read: what can be known of it by itself.
pub struct Line {
    leaf: Hash,
    record: Result<Record, RecordError>,
}

impl Line {
    /// Reads one without its newline. Lines may be read in any order, at once.
    #[must_use]
    pub fn read(line: &[u8]) -> Self {
        Self {
            leaf: leaf(line),
            record: Record::parse(line),
        }
    }
}

/// Takes the lines of a log in their order.
pub struct Verifier {
    checkpoint: Option<Checkpoint>,
    /// The root at the checkpoint's size.
    root_then: Option<Hash>,
    keep: Keep,
    committed: BTreeSet<Digest>,
    frontier: Frontier,
    prev: Hash,
    next_seq: u64,
    log: Option<Origin>,
    runs: HashMap<RunId, Run>,
}

/// A run that hasn't ended.
struct Run {
    plan: Plan,
    open: HashMap<u64, Fetch<Facts>>,
    committed: u64,
    failed: u64,
}

impl Verifier {
    /// One at a log's beginning, which checks it against a checkpoint, if there
    /// is one.
    #[must_use]
    pub fn new(checkpoint: Option<Checkpoint>, keep: Keep) -> Self {
        Self {
            checkpoint,
            root_then: None,
            keep,
            committed: BTreeSet::new(),
            frontier: Frontier::default(),
            prev: [0; 32],
            next_seq: 0,
            log: None,
            runs: HashMap::new(),
        }
    }

    /// Takes the next line, and says what is wrong with it.
    pub fn line(&mut self, line: &Line) -> Vec<Finding> {
        let at = Some(self.frontier.size());
        let mut found = Vec::new();
        match &line.record {
            Ok(record) => {
                self.chained(record, &mut found);
                self.told(record, &mut found);
                self.next_seq = record.seq.wrapping_add(1);
            }
            Err(error) => {
                found.push(What::Record(error.clone()));
                self.next_seq = self.next_seq.wrapping_add(1);
            }
        }
        self.prev = line.leaf;
        self.frontier.push(self.prev);
        if self
            .checkpoint
            .as_ref()
            .is_some_and(|then| then.size == self.frontier.size())
        {
            self.root_then = Some(self.frontier.root());
        }
        found.into_iter().map(|what| Finding { at, what }).collect()
    }

    /// Takes what is behind the last newline.
    #[must_use]
    pub fn finish(self, torn: &[u8]) -> (Verified, Vec<Finding>) {
        let mut found = Vec::new();
        let size = self.frontier.size();
        if !torn.is_empty() {
            found.push(What::Torn(torn.len() as u64));
        }
        if let Some(then) = &self.checkpoint {
            if self.log.as_ref().is_some_and(|log| *log != then.origin) {
                found.push(What::OtherCheckpoint(then.origin.clone()));
            }
            match self.root_then {
                None if then.size > size => {
                    found.push(What::Shorter {
                        expected: then.size,
                        found: size,
                    });
                }
                Some(root) if root != then.root => found.push(What::Rewritten(then.size)),
                _ => {}
            }
        }
        let mut unended: Vec<_> = self.runs.into_keys().collect();
        unended.sort();
        found.extend(unended.into_iter().map(What::Unended));
        let root = self.frontier.root();
        let checkpoint = self.log.map(|origin| Checkpoint { origin, size, root });
        let findings = found
            .into_iter()
            .map(|what| Finding { at: None, what })
            .collect();
        (
            Verified {
                checkpoint,
                committed: self.committed,
            },
            findings,
        )
    }

    /// Whether a record follows the one before.
    fn chained(&mut self, record: &Record, found: &mut Vec<What>) {
        let first = self.frontier.size() == 0;
        if first != matches!(record.op, Op::Genesis { .. }) {
            found.push(What::Genesis);
        }
        match &self.log {
            None => self.log = Some(record.log.clone()),
            Some(log) if *log != record.log => found.push(What::OtherLog(record.log.clone())),
            Some(_) => {}
        }
        if record.seq != self.next_seq {
            found.push(What::Sequence {
                expected: self.next_seq,
                found: record.seq,
            });
        }
        if record.prev != self.prev {
            found.push(What::Chain);
        }
    }

    /// Whether what a record tells can be.
    fn told(&mut self, record: &Record, found: &mut Vec<What>) {
        let wrong = |why| What::Run {
            run: record.run.clone(),
            why,
        };
        match &record.op {
            Op::Genesis { .. } | Op::Recovered { .. } => {}
            Op::Run { plan, .. } => {
                let run = Run {
                    plan: *plan,
                    open: HashMap::new(),
                    committed: 0,
                    failed: 0,
                };
                if self.runs.insert(record.run.clone(), run).is_some() {
                    found.push(wrong("begins twice"));
                }
            }
            Op::Transition {
                event,
                fetch,
                request,
                ..
            } => match self.runs.get_mut(&record.run) {
                None => found.push(wrong("has not begun, or has ended")),
                Some(run) => match run.replay(*fetch, request, event) {
                    Ok(State::Committed) if self.keep == Keep::Objects => {
                        self.committed.insert(request.digest());
                    }
                    Ok(_) => {}
                    Err(why) => found.push(What::Replay { fetch: *fetch, why }),
                },
            },
            Op::End {
                committed,
                failed,
                unrecorded,
            } => match self.runs.remove(&record.run) {
                None => found.push(wrong("has not begun, or has ended")),
                Some(run) => {
                    let recorded = run.committed.saturating_add(run.failed);
                    let told = committed.saturating_add(*failed);
                    // An unrecorded one may have some records or none. One whose
                    // success couldn't be made durable failed, with all its records.
                    let sound = run.open.len() as u64 <= *unrecorded
                        && recorded.saturating_add(*unrecorded) == told
                        && *committed <= run.committed;
                    if !sound {
                        found.push(wrong("ends with other fetches than it has records of"));
                    }
                }
            },
        }
    }
}

impl Run {
    /// Does the transition again, and compares.
    fn replay(&mut self, fetch: u64, request: &Request, event: &Event) -> Result<State, String> {
        let task = Task {
            request: request.clone(),
            plan: self.plan,
        };
        let state = match self.open.remove(&fetch) {
            Some(state) if state.task().request != *request => {
                return Err("it is of another request than before".to_owned());
            }
            Some(state) => state,
            None => Fetch::new(task),
        };
        let (next, again) = state
            .step(event.outcome.clone())
            .map_err(|refused| refused.to_string())?;
        if again != *event {
            return Err(format!(
                "it leads from {} to {}, and not from {} to {}",
                again.from, again.to, event.from, event.to
            ));
        }
        let reached = next.state();
        match reached {
            State::Committed => self.committed += 1,
            State::Failed => self.failed += 1,
            _ => {
                self.open.insert(fetch, next);
            }
        }
        Ok(reached)
    }
}
