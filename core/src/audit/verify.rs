//! Verifies a log line by line. Kept in memory: open runs, 8 bytes per run, a hash per
//! distinct digest, and the committed objects if they are wanted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::content_rules::{ClassificationHash, Contents};
use super::finding::{Finding, FindingKind};
use super::id::{LogId, RunId, Timestamp};
use super::line::ParsedLine;
use super::merkle::{CompactRange, NodeHash};
use super::program::is_version;
use super::record::{Entry, MAX_TORN_LINES, Record, RecordError, SourceInfo, TornLine};
use super::replay::OpenRun;
use super::rotation::Rotation;
use crate::digest::Digest;
use crate::machine::State;

/// What a log holds, whatever was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSummary {
    /// The final checkpoints of the logs before the last one that have a record.
    pub earlier: Vec<Checkpoint>,
    /// The present checkpoint of the log, or of the last of several; `None` if it has no
    /// record.
    pub checkpoint: Option<Checkpoint>,
    /// How the last log ended, if it was rotated.
    pub rotation: Option<Rotation>,
    /// Number of lines, of all logs.
    pub lines: u64,
    /// The caches that runs used, and the objects committed to each; empty with
    /// [`KeepObjects::No`].
    pub committed: BTreeMap<String, Objects>,
}

/// Committed objects, each with the position of its last `Committed` record.
pub type Objects = BTreeMap<Digest, u64>;

/// By how much a clock may be set back before it is reported.
pub(super) const CLOCK_SKEW_TOLERANCE: Duration = Duration::from_secs(60);

/// Whether a [`LogVerifier`] keeps the committed digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepObjects {
    /// They are kept: about 40 bytes per object.
    Yes,
    /// They are not kept.
    No,
}

/// Verifies the lines of a log in their order.
#[derive(Debug)]
pub struct LogVerifier {
    pub(super) checkpoint: Option<Checkpoint>,
    keep_objects: KeepObjects,
    committed: BTreeMap<String, Objects>,
    /// The final checkpoints of the logs before the present one.
    pub(super) earlier: Vec<Checkpoint>,
    /// Number of lines of the logs before the present one.
    pub(super) lines: u64,
    /// The rotated log before the present one: its final checkpoint, and how it ended.
    pub(super) previous: Option<(Checkpoint, Option<Rotation>)>,
    pub(super) log: LogState,
    /// Times of the first and the previous record.
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    /// Whether runs may have begun in a log that was not given.
    pub(super) previous_unchecked: bool,
    /// Whether a log of the checkpoint was there.
    pub(super) checkpoint_found: bool,
    open_runs: HashMap<RunId, OpenRun>,
    /// The ids of all runs.
    known_runs: HashSet<RunId>,
    contents: Contents,
}

/// What is known of the present log.
#[derive(Debug, Default)]
pub(super) struct LogState {
    pub(super) id: Option<LogId>,
    pub(super) tree: CompactRange,
    /// Its root at the checkpoint's size.
    pub(super) root_at_checkpoint: Option<NodeHash>,
    has_genesis: bool,
    prev: NodeHash,
    next_seq: u64,
    /// Lines since the last record that may be torn: position, name and error of each, at
    /// most [`MAX_TORN_LINES`].
    pub(super) torn: Vec<(u64, TornLine, RecordError)>,
    /// How it ended.
    pub(super) rotation: Option<Rotation>,
}

impl LogState {
    /// The checkpoint of its lines; `None` if it has no record.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            origin: self.id.clone()?,
            size: self.tree.size(),
            root: self.tree.root(),
        })
    }
}

impl LogVerifier {
    /// Starts at the beginning of a log. With a checkpoint, the log is compared with it.
    #[must_use]
    pub fn new(checkpoint: Option<Checkpoint>, keep_objects: KeepObjects) -> Self {
        Self {
            checkpoint,
            keep_objects,
            committed: BTreeMap::new(),
            earlier: Vec::new(),
            lines: 0,
            previous: None,
            log: LogState::default(),
            first_time: None,
            last_time: None,
            previous_unchecked: false,
            checkpoint_found: false,
            open_runs: HashMap::new(),
            known_runs: HashSet::new(),
            contents: Contents::default(),
        }
    }

    /// Verifies the next line, and returns what is wrong with it.
    pub fn check_line(&mut self, line: &ParsedLine) -> Vec<Finding> {
        let at = self.log.tree.size();
        let (mut findings, mut kinds) = (Vec::new(), Vec::new());
        self.note_checkpoint();
        if self.log.rotation.is_some() {
            kinds.push(FindingKind::AfterRotation);
        }
        match &line.record {
            Ok(record) => {
                self.check_torn(record, &mut findings, &mut kinds);
                self.check_chain(record, &mut kinds);
                self.check_entry(record, line.classification, &mut kinds);
                self.log.next_seq = record.seq.wrapping_add(1);
            }
            Err(invalid) => {
                let (error, log) = (invalid.error.clone(), &mut self.log);
                match invalid.torn {
                    Some(torn) if log.torn.len() < MAX_TORN_LINES => {
                        log.torn.push((at, torn, error));
                    }
                    _ => kinds.push(FindingKind::InvalidRecord(error)),
                }
                log.next_seq = log.next_seq.wrapping_add(1);
            }
        }
        let log = &mut self.log;
        log.prev = line.leaf_hash;
        log.tree.push(line.leaf_hash);
        let at = Some(at);
        findings.extend(kinds.into_iter().map(|kind| Finding { at, kind }));
        findings
    }

    /// Keeps the root of the lines so far, if they are as many as the checkpoint has.
    pub(super) fn note_checkpoint(&mut self) {
        let (log, checkpoint) = (&mut self.log, self.checkpoint.as_ref());
        if checkpoint.is_some_and(|checkpoint| checkpoint.size == log.tree.size()) {
            log.root_at_checkpoint = Some(log.tree.root());
        }
    }

    /// Ends the verification. `torn` is the length of the bytes after the last newline.
    #[must_use]
    pub fn finish(mut self, torn: u64) -> (LogSummary, Vec<Finding>) {
        let mut findings = self.end_log(torn);
        let mut kinds = Vec::new();
        if let (Some(checkpoint), Some(_), false) =
            (self.checkpoint, &self.log.id, self.checkpoint_found)
        {
            kinds.push(FindingKind::ForeignCheckpoint(checkpoint.origin));
        }
        let mut unfinished: Vec<_> = self.open_runs.into_keys().collect();
        unfinished.sort();
        kinds.extend(unfinished.into_iter().map(FindingKind::UnfinishedRun));
        let summary = LogSummary {
            earlier: self.earlier,
            checkpoint: self.log.checkpoint(),
            lines: self.lines + self.log.tree.size(),
            rotation: self.log.rotation,
            committed: self.committed,
        };
        findings.extend(kinds.into_iter().map(|kind| Finding { at: None, kind }));
        (summary, findings)
    }

    /// Checks that the lines since the last record are torn ones, which this record names.
    fn check_torn(
        &mut self,
        record: &Record,
        findings: &mut Vec<Finding>,
        kinds: &mut Vec<FindingKind>,
    ) {
        let torn = mem::take(&mut self.log.torn);
        let is_named = match &record.entry {
            Entry::Recovered { lines } => {
                let is_named =
                    !lines.is_empty() && lines.iter().eq(torn.iter().map(|(_, torn, _)| torn));
                kinds.extend((!is_named).then_some(FindingKind::Recovery));
                is_named
            }
            _ => false,
        };
        findings.extend(torn.into_iter().map(|(at, torn, error)| Finding {
            at: Some(at),
            kind: match is_named {
                true => FindingKind::RecoveredLine(torn.bytes),
                false => FindingKind::InvalidRecord(error),
            },
        }));
    }

    /// Checks that a record continues the log.
    fn check_chain(&mut self, record: &Record, kinds: &mut Vec<FindingKind>) {
        let is_genesis = matches!(record.entry, Entry::Genesis { .. });
        // The line of the genesis may have been torn.
        let is_recovered = matches!(record.entry, Entry::Recovered { .. });
        let log = &mut self.log;
        if is_genesis == log.has_genesis && !is_recovered {
            kinds.push(FindingKind::Genesis);
        }
        log.has_genesis |= !is_recovered;
        if *log.id.get_or_insert_with(|| record.log.clone()) != record.log {
            kinds.push(FindingKind::ForeignRecord(record.log.clone()));
        }
        let (expected, found) = (log.next_seq, record.seq);
        if found != expected {
            kinds.push(FindingKind::Sequence { expected, found });
        }
        if record.prev != log.prev {
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
    fn check_entry(
        &mut self,
        record: &Record,
        classification: Option<ClassificationHash>,
        kinds: &mut Vec<FindingKind>,
    ) {
        // It may have begun in a log that was not given.
        let is_known = self.known_runs.contains(&record.run);
        let is_earlier = self.previous_unchecked && !is_known;
        let wrong_run = |reason| FindingKind::Run {
            run: record.run,
            reason,
        };
        match (&record.entry, self.open_runs.get_mut(&record.run)) {
            (Entry::Genesis { previous, version }, _) => {
                if !is_version(version) {
                    kinds.push(wrong_run("begins a log with an impossible version"));
                }
                self.check_succession(&record.log, previous.as_ref(), kinds);
            }
            (Entry::Rotated(rotation), _) => {
                if !record.log.is_continued_by(&rotation.next) {
                    kinds.push(wrong_run(
                        "ends the log, and names one that can't continue it",
                    ));
                }
                self.log.rotation = Some(rotation.clone());
            }
            (Entry::Recovered { .. }, _) => {}
            (Entry::Run(info), _) => {
                if self.keep_objects == KeepObjects::Yes {
                    self.committed.entry(info.cache.clone()).or_default();
                }
                kinds.extend(info.check().err().map(wrong_run));
                if let Err(reason) = info.invocation.check() {
                    let run = record.run;
                    kinds.push(FindingKind::Invocation { run, reason });
                }
                if !self.known_runs.insert(record.run) {
                    kinds.push(FindingKind::ReusedRun(record.run));
                }
                let run = OpenRun::new(info, &record.time);
                self.open_runs.insert(record.run, run);
            }
            (_, None) if is_earlier => {}
            (_, None) => kinds.push(wrong_run("has not begun or has already ended")),
            (Entry::Skopeo(_), Some(run)) if run.is_identified => {
                kinds.push(wrong_run("identifies skopeo twice"));
            }
            (Entry::Skopeo(_), Some(run)) if run.info.source != SourceInfo::Auto => {
                kinds.push(wrong_run("identifies a skopeo that it may not use"));
            }
            (Entry::Skopeo(identity), Some(run)) => {
                kinds.extend(identity.check().err().map(wrong_run));
                run.is_identified = true;
            }
            (Entry::Transition(transition), Some(run)) => {
                let contents = &mut self.contents;
                let state = run.replay(transition, &record.time, classification, contents, kinds);
                // Has the run's cache with `KeepObjects::Yes` only.
                if state == Some(State::Committed)
                    && let Some(objects) = self.committed.get_mut(&run.info.cache)
                {
                    objects.insert(transition.request.digest(), self.log.tree.size());
                }
            }
            (
                Entry::End {
                    committed,
                    failed,
                    unrecorded,
                },
                Some(run),
            ) => {
                if !run.can_end(*committed, *failed, *unrecorded) {
                    kinds.push(wrong_run("ends with numbers that don't fit its records"));
                }
                self.open_runs.remove(&record.run);
            }
        }
    }
}
