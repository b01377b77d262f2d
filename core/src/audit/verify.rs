//! Checks a log, line by line. Pure, and of bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::finding::{Finding, FindingKind};
use super::id::{LogId, RunId, Timestamp};
use super::merkle::{CompactRange, NodeHash, leaf_hash};
use super::record::{Entry, Record, RecordError};
use crate::digest::Digest;
use crate::machine::{ContentInfo, Event, Fetch, FetchPolicy, State, Task};
use crate::request::Request;

/// What a log holds, whatever was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSummary {
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
pub enum KeepObjects {
    /// It does, some 40 bytes for each object.
    Yes,
    /// It doesn't.
    No,
}

/// A line of a log, read: what can be known of it by itself.
pub struct ParsedLine {
    leaf: NodeHash,
    // Boxed, since there may be many lines that are none.
    record: Result<Box<Record>, RecordError>,
}

impl ParsedLine {
    /// Reads one without its newline. Lines may be read in any order, at once.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        Self {
            leaf: leaf_hash(line),
            record: Record::parse(line).map(Box::new),
        }
    }

    /// One that is too long for a record, of which only its leaf is known.
    #[must_use]
    pub const fn too_long(leaf: NodeHash) -> Self {
        Self {
            leaf,
            record: Err(RecordError::TooLong),
        }
    }

    /// Its leaf.
    #[must_use]
    pub const fn leaf_hash(&self) -> NodeHash {
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
    root_then: Option<NodeHash>,
    keep: KeepObjects,
    committed: BTreeMap<String, Objects>,
    frontier: CompactRange,
    prev: NodeHash,
    next_seq: u64,
    /// Of the record before.
    time: Option<Timestamp>,
    log: Option<LogId>,
    runs: HashMap<RunId, OpenRun>,
}

/// A run that hasn't ended.
struct OpenRun {
    cache: String,
    policy: FetchPolicy,
    open: HashMap<u64, Fetch<ContentInfo>>,
    committed: u64,
    failed: u64,
}

impl Verifier {
    /// One at a log's beginning, which checks it against a checkpoint, if there
    /// is one.
    #[must_use]
    pub fn new(checkpoint: Option<Checkpoint>, keep: KeepObjects) -> Self {
        Self {
            checkpoint,
            root_then: None,
            keep,
            committed: BTreeMap::new(),
            frontier: CompactRange::default(),
            prev: [0; 32],
            next_seq: 0,
            time: None,
            log: None,
            runs: HashMap::new(),
        }
    }

    /// Takes the next line, and says what is wrong with it.
    pub fn line(&mut self, line: &ParsedLine) -> Vec<Finding> {
        let at = Some(self.frontier.size());
        let mut found = Vec::new();
        match &line.record {
            Ok(record) => {
                self.check_chain(record, &mut found);
                self.check_entry(record, &mut found);
                self.next_seq = record.seq.wrapping_add(1);
            }
            Err(error) => {
                found.push(FindingKind::Record(error.clone()));
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
        found.into_iter().map(|kind| Finding { at, kind }).collect()
    }

    /// Takes what is behind the last newline.
    #[must_use]
    pub fn finish(self, torn: &[u8]) -> (LogSummary, Vec<Finding>) {
        let mut found = Vec::new();
        let size = self.frontier.size();
        if !torn.is_empty() {
            found.push(FindingKind::Torn(torn.len() as u64));
        } else if size == 0 {
            found.push(FindingKind::Empty);
        }
        if let Some(then) = &self.checkpoint {
            if self.log.as_ref().is_some_and(|log| *log != then.origin) {
                found.push(FindingKind::OtherCheckpoint(then.origin.clone()));
            }
            match self.root_then {
                None if then.size > size => {
                    found.push(FindingKind::Shorter {
                        expected: then.size,
                        found: size,
                    });
                }
                Some(root) if root != then.root => found.push(FindingKind::Rewritten(then.size)),
                _ => {}
            }
        }
        let mut unended: Vec<_> = self.runs.into_keys().collect();
        unended.sort();
        found.extend(unended.into_iter().map(FindingKind::UnfinishedRun));
        let root = self.frontier.root();
        let checkpoint = self.log.map(|origin| Checkpoint { origin, size, root });
        let findings = found
            .into_iter()
            .map(|kind| Finding { at: None, kind })
            .collect();
        (
            LogSummary {
                checkpoint,
                committed: self.committed,
            },
            findings,
        )
    }

    /// Whether a record follows the one before.
    fn check_chain(&mut self, record: &Record, found: &mut Vec<FindingKind>) {
        let first = self.frontier.size() == 0;
        if first != matches!(record.entry, Entry::Genesis { .. }) {
            found.push(FindingKind::Genesis);
        }
        match &self.log {
            None => self.log = Some(record.log.clone()),
            Some(log) if *log != record.log => {
                found.push(FindingKind::OtherLog(record.log.clone()))
            }
            Some(_) => {}
        }
        if record.seq != self.next_seq {
            found.push(FindingKind::Sequence {
                expected: self.next_seq,
                found: record.seq,
            });
        }
        if record.prev != self.prev {
            found.push(FindingKind::Chain);
        }
        let now = &record.time;
        if let Some(then) = self.time.replace(now.clone())
            && now.before(&then).is_some_and(|by| by > SET_BACK)
        {
            let now = now.clone();
            found.push(FindingKind::Clock { then, now });
        }
    }

    /// Whether what a record tells can be.
    fn check_entry(&mut self, record: &Record, found: &mut Vec<FindingKind>) {
        let wrong = |why| FindingKind::Run {
            run: record.run.clone(),
            why,
        };
        match &record.entry {
            Entry::Genesis { .. } => {}
            Entry::Recovered { bytes, file, .. } => found.push(FindingKind::Recovered {
                bytes: *bytes,
                file: file.clone(),
            }),
            Entry::Run(begun) => {
                if self.keep == KeepObjects::Yes {
                    self.committed.entry(begun.cache.clone()).or_default();
                }
                let run = OpenRun {
                    cache: begun.cache.clone(),
                    policy: begun.policy,
                    open: HashMap::new(),
                    committed: 0,
                    failed: 0,
                };
                if self.runs.insert(record.run.clone(), run).is_some() {
                    found.push(wrong("begins twice"));
                }
            }
            Entry::Transition {
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
                    Err(why) => found.push(FindingKind::Replay { fetch: *fetch, why }),
                },
            },
            Entry::End {
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

impl OpenRun {
    /// Does the transition again, and compares.
    fn replay(&mut self, fetch: u64, request: &Request, event: &Event) -> Result<State, String> {
        let task = Task {
            request: request.clone(),
            policy: self.policy,
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
