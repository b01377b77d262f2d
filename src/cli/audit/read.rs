//! Reads logs, on as many processors as there are.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::mem;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread::ScopedJoinHandle;

use crate::audit::{
    Checkpoint, Finding, Hash, Keep, Line, Op, Piece, Pieces, Record, Run, RunId, Severity,
    Verified, Verifier,
};
use crate::cli::exit::Status;
use crate::cli::output::Problem;
use crate::machine::State;
use crate::text::Escaped;

/// How many bytes of lines a thread reads.
const BATCH: usize = 1 << 20;

/// And how many lines: many more than there are records in so many bytes.
const BATCH_LINES: usize = 1 << 13;

/// Lines that one thread reads.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each ends in them, or the leaf of one that is too long.
    lines: Vec<Result<usize, Hash>>,
}

impl Batch {
    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.lines.push(Ok(self.bytes.len()));
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH || self.lines.len() >= BATCH_LINES
    }

    fn read(self) -> Vec<Line> {
        let mut from = 0;
        let read = |line| match line {
            Ok(to) => Line::read(&self.bytes[mem::replace(&mut from, to)..to]),
            Err(leaf) => Line::too_long(leaf),
        };
        self.lines.into_iter().map(read).collect()
    }
}

/// Gives a log's lines to `take` in their order, and what is behind the last
/// newline to the caller.
pub(super) fn lines(
    file: &Path,
    mut take: impl FnMut(&Line) -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    let unreadable = |error: io::Error| {
        let status = match error.kind() {
            ErrorKind::NotFound => Status::NotFound,
            _ => Status::Other,
        };
        Problem::new(status, format!("{}: {error}", file.display()))
    };
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let opened = File::open(file).map_err(unreadable)?;
    let mut pieces = Pieces::new(BufReader::with_capacity(1 << 18, opened));
    let mut take = |thread: ScopedJoinHandle<'_, Vec<Line>>| {
        let lines = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        lines.iter().try_for_each(&mut take)
    };
    std::thread::scope(|scope| {
        let (mut batch, mut reading) = (Batch::default(), VecDeque::new());
        let torn = loop {
            match pieces.next().map_err(unreadable)? {
                Some(Piece::Line(line)) => batch.push(line),
                Some(Piece::TooLong(leaf)) => batch.lines.push(Err(leaf)),
                Some(Piece::Torn(torn)) => break torn.to_vec(),
                None => break Vec::new(),
            }
            if batch.is_full() {
                let batch = mem::take(&mut batch);
                reading.push_back(scope.spawn(|| batch.read()));
                if reading.len() > processors {
                    reading.pop_front().map_or(Ok(()), &mut take)?;
                }
            }
        };
        reading.push_back(scope.spawn(|| batch.read()));
        reading.into_iter().try_for_each(take)?;
        Ok(torn)
    })
}

/// Checks a log while its lines go by, each with what was found in it, and gives
/// what it holds and what was found in the whole.
pub(super) fn checked(
    file: &Path,
    checkpoint: Option<Checkpoint>,
    keep: Keep,
    mut take: impl FnMut(&Line, Vec<Finding>) -> Result<(), Problem>,
) -> Result<(Verified, Vec<Finding>), Problem> {
    let mut verifier = Verifier::new(checkpoint, keep);
    let torn = lines(file, |line| take(line, verifier.line(line)))?;
    Ok(verifier.finish(&torn))
}

/// Reads a whole log that has to be sound, and gives where it stands.
pub(super) fn sound(file: &Path) -> Result<Checkpoint, Problem> {
    let all_good = |findings: &[Finding]| {
        let bad = findings.iter().find(|found| is_bad(found));
        bad.map_or(Ok(()), |finding| Err(broken(file, finding)))
    };
    let take = |_: &Line, findings: Vec<Finding>| all_good(&findings);
    let (verified, findings) = checked(file, None, Keep::Nothing, take)?;
    all_good(&findings)?;
    let changed = || changed_meanwhile(file);
    verified.checkpoint.ok_or_else(changed)
}

/// Whether a log isn't sound with it.
pub(super) fn is_bad(finding: &Finding) -> bool {
    finding.what.severity() > Severity::Object
}

/// A log that isn't what it was a moment ago.
pub(super) fn changed_meanwhile(file: &Path) -> Problem {
    let what = format!("{}: it was changed while it was read", file.display());
    Problem::new(Status::AuditBroken, what)
}

fn broken(file: &Path, finding: &Finding) -> Problem {
    let what = Escaped(&finding.to_string()).to_string();
    let status = status(Some(finding.what.severity()));
    Problem::new(status, format!("{}: {what}", file.display()))
}

/// How a command ends that has found nothing worse.
pub(super) const fn status(worst: Option<Severity>) -> Status {
    match worst {
        None | Some(Severity::Note) => Status::Done,
        Some(Severity::Object) => Status::Corrupt,
        Some(Severity::Cut) => Status::AuditCut,
        Some(Severity::Broken) => Status::AuditBroken,
    }
}

/// Knows the runs that have begun and not ended.
#[derive(Default)]
pub(super) struct Runs(HashMap<RunId, Run>);

impl Runs {
    /// Takes the next record, and gives its run if it is the end of a fetch.
    pub(super) fn ended(&mut self, record: &Record) -> Option<&Run> {
        match &record.op {
            Op::Run(run) => drop(self.0.insert(record.run.clone(), run.clone())),
            Op::End { .. } => drop(self.0.remove(&record.run)),
            Op::Transition { event, .. }
                if matches!(event.to, State::Committed | State::Failed) =>
            {
                return self.0.get(&record.run);
            }
            _ => {}
        }
        None
    }
}
