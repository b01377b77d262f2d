//! Reads and verifies a log's file, on all processors.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read};
use std::mem;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

use skopeo_index_core::audit::{
    Checkpoint, Entry, FetchEngine, FetchOrigin, Finding, FindingKind, KeepObjects, LineReader,
    LogLine, LogSummary, LogVerifier, LongLine, ParsedLine, Record, RunId, RunInfo, Severity,
    SkopeoIdentity, SourceInfo, TransitionRecord, VerifierRecord,
};
use skopeo_index_core::escape::{EscapedPath, printable};
use skopeo_index_core::machine::{Event, State};

use super::file::LogFile;
use super::recover::{LOG_START, is_log_start};
use crate::os::{PathContext, PathError, allow_unsyncable, open_regular};

/// Bytes of lines that a thread parses at once.
const BATCH_SIZE: usize = 1 << 20;

/// Lines that a thread parses at once: many more than the records in a batch of bytes.
const BATCH_LINES: usize = 1 << 13;

/// Why a log can't be read, or its records can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// Verification found something worse than a note.
    #[error("{}: {}", EscapedPath(.path), printable(&.finding.to_string()))]
    NotIntact {
        /// The log.
        path: PathBuf,
        /// The first such finding.
        finding: Box<Finding>,
    },
    /// The log changed between verification and use.
    #[error("{}: the log was changed while it was read", EscapedPath(.0))]
    Changed(PathBuf),
}

/// Lines that one thread parses.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// The end of each in `bytes`, or one that is too long.
    lines: Vec<Result<usize, LongLine>>,
}

impl Batch {
    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.lines.push(Ok(self.bytes.len()));
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_SIZE || self.lines.len() >= BATCH_LINES
    }

    fn parse(self) -> Vec<ParsedLine> {
        let mut from = 0;
        let parse = |line| match line {
            Ok(to) => ParsedLine::parse(&self.bytes[mem::replace(&mut from, to)..to]),
            Err(line) => ParsedLine::too_long(&line),
        };
        self.lines.into_iter().map(parse).collect()
    }
}

/// Passes a log's lines to `take`, in their order, and returns the length of the bytes after
/// the last newline.
///
/// # Errors
/// Where the log can't be read, and those of `take`.
pub fn read_lines<E: From<ReadError>>(
    log: &Path,
    take: impl FnMut(&ParsedLine) -> Result<(), E>,
) -> Result<u64, E> {
    let file = open_regular(log).context("read", log);
    let file = BufReader::with_capacity(1 << 18, file.map_err(ReadError::from)?);
    parse_lines(log, LineReader::new(file), take)
}

fn parse_lines<E: From<ReadError>>(
    log: &Path,
    mut lines: LineReader<impl BufRead>,
    mut take: impl FnMut(&ParsedLine) -> Result<(), E>,
) -> Result<u64, E> {
    let unreadable = |error: io::Error| ReadError::from(PathError::new("read", log, error));
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut take = |thread: ScopedJoinHandle<'_, Vec<ParsedLine>>| {
        let parsed = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        parsed.iter().try_for_each(&mut take)
    };
    std::thread::scope(|scope| {
        let (mut batch, mut parsing) = (Batch::default(), VecDeque::new());
        let torn = loop {
            match lines.next_line().map_err(unreadable)? {
                Some(LogLine::Line(line)) => batch.push(line),
                Some(LogLine::TooLong(line)) => batch.lines.push(Err(line)),
                Some(LogLine::Torn(torn)) => break torn.len() as u64,
                Some(LogLine::TornTooLong(line)) => break line.torn.bytes,
                None => break 0,
            }
            if batch.is_full() {
                let batch = mem::take(&mut batch);
                parsing.push_back(scope.spawn(|| batch.parse()));
                if parsing.len() > processors {
                    parsing.pop_front().map_or(Ok(()), &mut take)?;
                }
            }
        };
        parsing.push_back(scope.spawn(|| batch.parse()));
        parsing.into_iter().try_for_each(take)?;
        Ok(torn)
    })
}

/// Verifies a log, or several of which each continues the one before it. Passes each line with
/// its findings to `take`, and the findings about a whole log without a line.
///
/// # Errors
/// Where a log can't be read, and those of `take`.
pub fn verify_logs<E: From<ReadError>>(
    logs: &[impl AsRef<Path>],
    checkpoint: Option<Checkpoint>,
    keep: KeepObjects,
    mut take: impl FnMut(&Path, Option<&ParsedLine>, Vec<Finding>) -> Result<(), E>,
) -> Result<LogSummary, E> {
    let mut verifier = LogVerifier::new(checkpoint, keep);
    let (mut previous, mut torn) = (Path::new(""), 0);
    for (n, log) in logs.iter().map(AsRef::as_ref).enumerate() {
        if n > 0 {
            take(previous, None, verifier.next_log(torn))?;
        }
        torn = read_lines(log, |line| take(log, Some(line), verifier.check_line(line)))?;
        previous = log;
    }
    let (summary, mut findings) = verifier.finish(torn);
    findings.extend(unfinished_rotation(previous, &summary));
    if summary.checkpoint.is_none() && !begins_like_a_log(previous)? {
        let (at, kind) = (None, FindingKind::NotALog);
        findings = vec![Finding { at, kind }];
    }
    take(previous, None, findings)?;
    Ok(summary)
}

/// Whether a file's first line may be the start of a log, which a crash left.
fn begins_like_a_log(file: &Path) -> Result<bool, ReadError> {
    let mut start = Vec::new();
    let opened = open_regular(file).context("read", file)?;
    let read = opened.take(LOG_START.len() as u64).read_to_end(&mut start);
    read.context("read", file)?;
    let line = start.split(|byte| *byte == b'\n').next();
    Ok(is_log_start(line.unwrap_or_default()))
}

/// A rotated log that was not renamed is at the name that it is kept at.
fn unfinished_rotation(log: &Path, summary: &LogSummary) -> Option<Finding> {
    let kept = &summary.rotation.as_ref()?.file;
    let log = log.canonicalize().ok()?;
    (log.file_name()? != kept.as_str()).then(|| Finding {
        at: None,
        kind: FindingKind::UnfinishedRotation(kept.clone()),
    })
}

/// Verifies a log that has to be intact, and an extension of an earlier one if there is one.
/// Returns its checkpoint.
///
/// # Errors
/// Where the log can't be read, is not intact, or is not an extension.
pub fn read_intact_log(log: &Path, earlier: Option<&Checkpoint>) -> Result<Checkpoint, ReadError> {
    let checkpoints = read_intact_logs(&[log], earlier)?;
    let changed = || ReadError::Changed(log.to_owned());
    checkpoints.into_iter().next().ok_or_else(changed)
}

/// Verifies logs that have to be intact, each of which continues the one before it. Returns
/// the checkpoint of each.
///
/// # Errors
/// As for [`read_intact_log`].
pub fn read_intact_logs(
    logs: &[impl AsRef<Path>],
    earlier: Option<&Checkpoint>,
) -> Result<Vec<Checkpoint>, ReadError> {
    let take = |log: &Path, _: Option<&ParsedLine>, findings| refuse(log, findings, is_bad);
    let summary = verify_logs(logs, earlier.cloned(), KeepObjects::No, take)?;
    // One without a record is not intact.
    Ok(summary
        .earlier
        .into_iter()
        .chain(summary.checkpoint)
        .collect())
}

impl LogFile {
    /// Verifies the lines that have their newline. Torn ones at the end are no error: the
    /// next record names them.
    pub(super) fn check_unbroken(&self) -> Result<(), ReadError> {
        let is_broken = |finding: &Finding| finding.kind.severity() == Severity::Broken;
        let mut verifier = LogVerifier::new(None, KeepObjects::No);
        parse_lines(&self.path, self.lines(0, u64::MAX), |line| {
            refuse(&self.path, verifier.check_line(line), is_broken)
        })?;
        refuse(&self.path, verifier.finish(0).1, is_broken)
    }
}

/// The first of the findings that is bad, as an error.
fn refuse(
    log: &Path,
    findings: Vec<Finding>,
    is_bad: impl Fn(&Finding) -> bool,
) -> Result<(), ReadError> {
    match findings.into_iter().find(is_bad) {
        None => Ok(()),
        Some(finding) => Err(ReadError::NotIntact {
            path: log.to_owned(),
            finding: Box::new(finding),
        }),
    }
}

/// Makes a log's records durable, so that no crash takes back what is signed next. A file
/// system that can't be written to has nothing to make durable.
///
/// # Errors
/// Where the system refuses.
pub fn sync_log(log: &Path) -> Result<(), ReadError> {
    let synced = open_regular(log).and_then(|log| log.sync_data());
    Ok(allow_unsyncable(synced).context("sync", log)?)
}

/// Whether a log with this finding is not intact.
#[must_use]
pub fn is_bad(finding: &Finding) -> bool {
    finding.kind.severity() > Severity::Object
}

/// The runs that have begun and not ended, in a log or in several that continue each other.
#[derive(Default)]
pub struct OpenRuns {
    runs: HashMap<RunId, OpenRun>,
    /// Number of fetches that ended in runs that began in a log that was not given.
    pub of_earlier_runs: u64,
}

struct OpenRun {
    info: RunInfo,
    skopeo: Option<SkopeoIdentity>,
    fetches: HashMap<u64, OpenFetch>,
}

/// What an open fetch has done so far.
#[derive(Default)]
struct OpenFetch {
    /// Who brought its bytes.
    engine: Option<FetchEngine>,
    verifiers: Vec<VerifierRecord>,
}

impl OpenRuns {
    /// Takes the next record. Returns where its fetch's bytes came from, if the record ends
    /// a fetch.
    pub fn fetch_end(&mut self, record: &Record) -> Option<FetchOrigin> {
        if let Entry::Run(info) = &record.entry {
            let skopeo = match &info.source {
                SourceInfo::Skopeo(skopeo) => Some(skopeo.clone()),
                SourceInfo::Auto | SourceInfo::Cache(_) | SourceInfo::Registry => None,
            };
            let run = OpenRun {
                info: info.clone(),
                skopeo,
                fetches: HashMap::new(),
            };
            self.runs.insert(record.run, run);
        }
        let Some(run) = self.runs.get_mut(&record.run) else {
            if let Entry::Transition(TransitionRecord { event, .. }) = &record.entry {
                self.of_earlier_runs += u64::from(is_end(event));
            }
            return None;
        };
        match &record.entry {
            Entry::End { .. } => drop(self.runs.remove(&record.run)),
            Entry::Skopeo(skopeo) => run.skopeo = Some(skopeo.clone()),
            Entry::Transition(TransitionRecord {
                command,
                event,
                fetch,
                registry,
                verifier,
                ..
            }) => {
                let open = run.fetches.entry(*fetch).or_default();
                open.verifiers.extend(verifier.as_deref().cloned());
                let engine = match (command, registry) {
                    // The commands of other states look at what is copied.
                    (Some(command), _) if event.from == State::Staged => {
                        let identity = run.skopeo.clone();
                        identity.map(|identity| FetchEngine::Skopeo {
                            identity,
                            answer: command.answer.clone(),
                        })
                    }
                    (None, Some(exchange)) => Some(FetchEngine::Registry(exchange.clone())),
                    _ => None,
                };
                open.engine = engine.or_else(|| open.engine.take());
                if is_end(event) {
                    let ended = run.fetches.remove(fetch).unwrap_or_default();
                    return Some(FetchOrigin {
                        engine: ended.engine,
                        run: run.info.clone(),
                        verifiers: ended.verifiers,
                    });
                }
            }
            _ => {}
        }
        None
    }
}

const fn is_end(event: &Event) -> bool {
    matches!(event.to, State::Committed | State::Failed)
}
