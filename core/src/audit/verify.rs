//! Verifies a log line by line. Kept in memory: open runs, 8 bytes per run, a hash per
//! distinct digest, and the committed objects if they are wanted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::content_rules::Contents;
use super::finding::{Finding, FindingKind};
use super::id::{LogId, RunId, Timestamp};
use super::merkle::{CompactRange, NodeHash, leaf_hash};
use super::record::{Entry, Record, RecordError, SourceInfo};
use super::replay::{OpenRun, Transition};
use crate::digest::Digest;
use crate::machine::State;

/// What a log holds, whatever was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSummary {
    /// The log's present checkpoint; `None` for a log without a record.
    pub checkpoint: Option<Checkpoint>,
    /// The caches that runs used, and the objects committed to each; empty with
    /// [`KeepObjects::No`].
    pub committed: BTreeMap<String, Objects>,
}

/// Committed objects, each with the position of its last `Committed` record.
pub type Objects = BTreeMap<Digest, u64>;

/// By how much a clock may be set back before it is reported.
pub(super) const CLOCK_SKEW_TOLERANCE: Duration = Duration::from_secs(60);

/// Whether a [`Verifier`] keeps the committed digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepObjects {
    /// They are kept: about 40 bytes per object.
    Yes,
    /// They are not kept.
    No,
}

/// A parsed line of a log.
pub struct ParsedLine {
    leaf_hash: NodeHash,
    // Boxed, because there may be many lines that are not records.
    record: Result<Box<Record>, RecordError>,
}

impl ParsedLine {
    /// Parses a line without its newline. Lines can be parsed in parallel.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        Self {
            leaf_hash: leaf_hash(line),
            record: Record::parse(line).map(Box::new),
        }
    }

    /// A line that is too long for a record.
    #[must_use]
    pub const fn too_long(leaf_hash: NodeHash) -> Self {
        Self {
            leaf_hash,
            record: Err(RecordError::TooLong),
        }
    }

    /// The line's leaf hash.
    #[must_use]
    pub const fn leaf_hash(&self) -> NodeHash {
        self.leaf_hash
    }

    /// The record, if the line is one.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref().ok()
    }
}

/// Verifies the lines of a log in their order.
pub struct Verifier {
    checkpoint: Option<Checkpoint>,
    /// The log's root at the checkpoint's size.
    root_at_checkpoint: Option<NodeHash>,
    keep_objects: KeepObjects,
    committed: BTreeMap<String, Objects>,
    tree: CompactRange,
    prev: NodeHash,
    next_seq: u64,
    /// Times of the first and the previous record.
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    log: Option<LogId>,
    open_runs: HashMap<RunId, OpenRun>,
    /// The ids of all runs, as numbers.
    known_runs: HashSet<u64>,
    contents: Contents,
}

impl Verifier {
    /// Starts at the beginning of a log. With a checkpoint, the log is compared with it.
    #[must_use]
    pub fn new(checkpoint: Option<Checkpoint>, keep_objects: KeepObjects) -> Self {
        Self {
            checkpoint,
            root_at_checkpoint: None,
            keep_objects,
            committed: BTreeMap::new(),
            tree: CompactRange::default(),
            prev: [0; 32],
            next_seq: 0,
            first_time: None,
            last_time: None,
            log: None,
            open_runs: HashMap::new(),
            known_runs: HashSet::new(),
            contents: Contents::default(),
        }
    }

    /// Verifies the next line, and returns what is wrong with it.
    pub fn check_line(&mut self, line: &ParsedLine) -> Vec<Finding> {
        let at = Some(self.tree.size());
        let mut kinds = Vec::new();
        match &line.record {
            Ok(record) => {
                self.check_chain(record, &mut kinds);
                self.check_entry(record, &mut kinds);
                self.next_seq = record.seq.wrapping_add(1);
            }
            Err(error) => {
                kinds.push(FindingKind::InvalidRecord(error.clone()));
                self.next_seq = self.next_seq.wrapping_add(1);
            }
        }
        self.prev = line.leaf_hash;
        self.tree.push(line.leaf_hash);
        let checkpoint = self.checkpoint.as_ref();
        if checkpoint.is_some_and(|checkpoint| checkpoint.size == self.tree.size()) {
            self.root_at_checkpoint = Some(self.tree.root());
        }
        kinds.into_iter().map(|kind| Finding { at, kind }).collect()
    }

    /// Ends the verification. `torn` is the torn line, or empty.
    #[must_use]
    pub fn finish(self, torn: &[u8]) -> (LogSummary, Vec<Finding>) {
        let mut kinds = Vec::new();
        let (size, root) = (self.tree.size(), self.tree.root());
        if !torn.is_empty() {
            kinds.push(FindingKind::TornLine(torn.len() as u64));
        } else if size == 0 {
            kinds.push(FindingKind::EmptyLog);
        }
        if let Some(Checkpoint {
            origin,
            size: expected,
            root,
        }) = self.checkpoint
        {
            if self.log.as_ref().is_some_and(|log| *log != origin) {
                kinds.push(FindingKind::ForeignCheckpoint(origin));
            }
            if expected > size {
                let found = size;
                kinds.push(FindingKind::TruncatedLog { expected, found });
            } else if self.root_at_checkpoint.is_some_and(|found| found != root) {
                kinds.push(FindingKind::RewrittenLog(expected));
            }
        }
        let mut unfinished: Vec<_> = self.open_runs.into_keys().collect();
        unfinished.sort();
        kinds.extend(unfinished.into_iter().map(FindingKind::UnfinishedRun));
        let summary = LogSummary {
            checkpoint: self.log.map(|origin| Checkpoint { origin, size, root }),
            committed: self.committed,
        };
        let finding = |kind| Finding { at: None, kind };
        (summary, kinds.into_iter().map(finding).collect())
    }

    /// Checks that a record continues the log.
    fn check_chain(&mut self, record: &Record, kinds: &mut Vec<FindingKind>) {
        let is_first = self.tree.size() == 0;
        if is_first != matches!(record.entry, Entry::Genesis { .. }) {
            kinds.push(FindingKind::Genesis);
        }
        if *self.log.get_or_insert_with(|| record.log.clone()) != record.log {
            kinds.push(FindingKind::ForeignRecord(record.log.clone()));
        }
        let (expected, found) = (self.next_seq, record.seq);
        if found != expected {
            kinds.push(FindingKind::Sequence { expected, found });
        }
        if record.prev != self.prev {
            kinds.push(FindingKind::Chain);
        }
        self.check_time(&record.time, kinds);
    }

    fn check_time(&mut self, time: &Timestamp, kinds: &mut Vec<FindingKind>) {
        let is_before = |earlier: &Timestamp| {
            let skew = earlier.duration_since(time);
            skew.is_some_and(|skew| skew > CLOCK_SKEW_TOLERANCE)
        };
        if !time.is_plausible() {
            kinds.push(FindingKind::ImplausibleTime(time.clone()));
        }
        let first = self.first_time.get_or_insert_with(|| time.clone());
        if is_before(first) {
            let (first, time) = (first.clone(), time.clone());
            kinds.push(FindingKind::TimeBeforeLog { first, time });
        }
        if let Some(previous) = self.last_time.replace(time.clone())
            && is_before(&previous)
        {
            self.open_runs.values_mut().for_each(|run| run.begun = None);
            let time = time.clone();
            kinds.push(FindingKind::Clock { previous, time });
        }
    }

    /// Checks that a record's entry follows from the earlier ones of its run.
    fn check_entry(&mut self, record: &Record, kinds: &mut Vec<FindingKind>) {
        const NOT_OPEN: &str = "has not begun or has already ended";
        let wrong_run = |reason| FindingKind::Run {
            run: record.run.clone(),
            reason,
        };
        match &record.entry {
            Entry::Genesis { .. } => {}
            Entry::Skopeo(_) => match self.open_runs.get_mut(&record.run) {
                None => kinds.push(wrong_run(NOT_OPEN)),
                Some(run) if run.is_identified => kinds.push(wrong_run("identifies skopeo twice")),
                Some(run) if run.info.source != SourceInfo::Auto => {
                    kinds.push(wrong_run("identifies a skopeo that it may not use"));
                }
                Some(run) => run.is_identified = true,
            },
            Entry::Recovered { bytes, file, .. } => kinds.push(FindingKind::RecoveredLine {
                bytes: *bytes,
                file: file.clone(),
            }),
            Entry::Run(info) => {
                if self.keep_objects == KeepObjects::Yes {
                    self.committed.entry(info.cache.clone()).or_default();
                }
                if !info.cache.starts_with('/') {
                    kinds.push(wrong_run("has a cache without an absolute path"));
                }
                if !self.known_runs.insert(record.run.to_number()) {
                    kinds.push(FindingKind::ReusedRun(record.run.clone()));
                }
                let run = OpenRun::new(info, &record.time);
                self.open_runs.insert(record.run.clone(), run);
            }
            Entry::Transition {
                event,
                fetch,
                request,
                command,
                registry,
            } => match self.open_runs.get_mut(&record.run) {
                None => kinds.push(wrong_run(NOT_OPEN)),
                Some(run) => {
                    let transition = Transition {
                        fetch: *fetch,
                        request,
                        event,
                        command: command.as_ref(),
                        exchange: registry.as_ref(),
                        time: &record.time,
                    };
                    let state = run.replay(&transition, &mut self.contents, kinds);
                    // Has the run's cache with `KeepObjects::Yes` only.
                    if state == Some(State::Committed)
                        && let Some(objects) = self.committed.get_mut(&run.info.cache)
                    {
                        objects.insert(request.digest(), self.tree.size());
                    }
                }
            },
            Entry::End {
                committed,
                failed,
                unrecorded,
            } => match self.open_runs.remove(&record.run) {
                None => kinds.push(wrong_run(NOT_OPEN)),
                Some(run) if !run.can_end(*committed, *failed, *unrecorded) => {
                    kinds.push(wrong_run("ends with numbers that don't fit its records"));
                }
                Some(_) => {}
            },
        }
    }
}
