//! Checks a log, line by line. Pure, and of bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::finding::{Finding, What};
use super::merkle::{Frontier, Hash, leaf};
use super::names::{Origin, RunId, Time};
use super::record::{Op, Record, RecordError};
use crate::digest::Digest;
use crate::machine::{Event, Facts, Fetch, Plan, State, Task};
use crate::request::Request;

/// What a log holds, whatever was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where it stands now; `None` for a log without a record.
    pub checkpoint: Option<Checkpoint>,
    /// Every cache that a run used, with the objects that were committed to it, if
    /// these were to be kept: each with the place of the last record that says so.
    pub committed: BTreeMap<String, Objects>,
}

/// Objects, each with the place of a record.
pub type Objects = BTreeMap<Digest, u64>;

/// By how much a clock may be set back without a word.
const SET_BACK: Duration = Duration::from_secs(60);

/// Whether a [`Verifier`] keeps the digests of what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It does, some 40 bytes for each object.
    Objects,
    /// It doesn't.
    Nothing,
}

/// A line of a log, read: what can be known of it by itself.
pub struct Line {
    leaf: Hash,
    // Boxed, since there may be many lines that are none.
    record: Result<Box<Record>, RecordError>,
}

impl Line {
    /// Reads one without its newline. Lines may be read in any order, at once.
    #[must_use]
    pub fn read(line: &[u8]) -> Self {
        Self {
            leaf: leaf(line),
            record: Record::parse(line).map(Box::new),
        }
    }

    /// One that is too long for a record, of which only its leaf is known.
    #[must_use]
    pub const fn too_long(leaf: Hash) -> Self {
        Self {
            leaf,
            record: Err(RecordError::TooLong),
        }
    }

    /// Its leaf.
    #[must_use]
    pub const fn leaf(&self) -> Hash {
        self.leaf
    }

    /// Its record, if it is one.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref().ok()
    }
}

/// Takes the lines of a log in their order.
pub struct Verifier {
    checkpoint: Option<Checkpoint>,
    /// The root at the checkpoint's size.
    root_then: Option<Hash>,
    keep: Keep,
    committed: BTreeMap<String, Objects>,
    frontier: Frontier,
    prev: Hash,
    next_seq: u64,
    /// Of the record before.
    time: Option<Time>,
    log: Option<Origin>,
    runs: HashMap<RunId, Run>,
}

/// A run that hasn't ended.
struct Run {
    cache: String,
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
            committed: BTreeMap::new(),
            frontier: Frontier::default(),
            prev: [0; 32],
            next_seq: 0,
            time: None,
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
        } else if size == 0 {
            found.push(What::Empty);
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
        let now = &record.time;
        if let Some(then) = self.time.replace(now.clone())
            && now.before(&then).is_some_and(|by| by > SET_BACK)
        {
            let now = now.clone();
            found.push(What::Clock { then, now });
        }
    }

    /// Whether what a record tells can be.
    fn told(&mut self, record: &Record, found: &mut Vec<What>) {
        let wrong = |why| What::Run {
            run: record.run.clone(),
            why,
        };
        match &record.op {
            Op::Genesis { .. } => {}
            Op::Recovered { bytes, kept_as, .. } => found.push(What::Recovered {
                bytes: *bytes,
                kept_as: kept_as.clone(),
            }),
            Op::Run(begun) => {
                if self.keep == Keep::Objects {
                    self.committed.entry(begun.cache.clone()).or_default();
                }
                let run = Run {
                    cache: begun.cache.clone(),
                    plan: begun.plan,
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
                    Ok(State::Committed) => {
                        let at = self.frontier.size();
                        // Caches are there only where objects are kept.
                        if let Some(objects) = self.committed.get_mut(&run.cache) {
                            objects.insert(request.digest(), at);
                        }
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
