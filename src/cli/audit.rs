//! `skopeo-index audit`.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::mem;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

use clap::Subcommand;
use serde_json::json;

use super::exit::Status;
use super::options::Format;
use super::output::{self, Problem};
use crate::audit::{
    Checkpoint, Finding, Keep, LINE_MAX, Line, Op, Proof, Record, RunId, Severity, SkopeoIdentity,
    Verified, Verifier, What, leaf, prove, statement,
};
use crate::digest::Digest;
use crate::index::Index;
use crate::machine::{Outcome, State};
use crate::store::{RealDisk, Seen, Store};
use crate::text::Escaped;

/// Check, show and export an audit log
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check chain, sequence and form, replay every fetch
    Verify {
        /// The log; may be left out with --proof
        #[arg(required_unless_present = "proof")]
        file: Option<PathBuf>,
        /// Rehash every object that was committed
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// What `audit checkpoint` printed before: nothing was cut or changed since
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// What `audit prove` printed: its record is in the log of the checkpoint
        #[arg(long, value_name = "FILE", requires = "checkpoint", conflicts_with_all = ["file", "cache"])]
        proof: Option<PathBuf>,
        /// How it is printed
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// List the fetches that have ended
    Show {
        /// The log
        file: PathBuf,
        /// Only those of this digest
        #[arg(long)]
        digest: Option<Digest>,
        /// Only those of this run
        #[arg(long)]
        run: Option<String>,
        /// Only those that failed
        #[arg(long)]
        failed: bool,
        /// How it is printed
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Print how much there is and its root, to be kept elsewhere
    Checkpoint {
        /// The log
        file: PathBuf,
    },
    /// Print a proof that a record is in the log
    Prove {
        /// The log
        file: PathBuf,
        /// The record's number
        #[arg(long, value_name = "N")]
        seq: u64,
    },
    /// Print fetches as statements, a JSON document a line
    Export {
        /// The log
        file: PathBuf,
        /// As in-toto Statement v1 with a SLSA verification summary
        #[arg(long, required = true)]
        in_toto: bool,
        /// The fetches of this digest
        #[arg(long, group = "which")]
        digest: Option<Digest>,
        /// The fetch that ended with this record
        #[arg(long, value_name = "N", group = "which")]
        seq: Option<u64>,
        /// All fetches
        #[arg(long, group = "which")]
        all: bool,
        /// Where to; stdout without it
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(super) fn run(args: &Args) -> Result<Status, Problem> {
    match &args.command {
        Command::Verify {
            proof: Some(proof),
            checkpoint,
            ..
        } => by_proof(proof, checkpoint.as_deref().unwrap_or(Path::new(""))),
        Command::Verify {
            file,
            cache,
            checkpoint,
            format,
            ..
        } => {
            let file = file.as_deref().unwrap_or(Path::new(""));
            verify(file, cache.as_deref(), checkpoint.as_deref(), *format)
        }
        Command::Show {
            file,
            digest,
            run,
            failed,
            format,
        } => show(
            file,
            |record, event_failed, of| {
                digest.is_none_or(|digest| digest == of)
                    && run.as_ref().is_none_or(|run| run == record.run.as_str())
                    && (event_failed || !failed)
            },
            *format,
        ),
        Command::Checkpoint { file } => {
            let sound = sound(file)?;
            output::line(sound.to_string().trim_end())?;
            Ok(Status::Done)
        }
        Command::Prove { file, seq } => proof_of(file, *seq),
        Command::Export {
            file,
            digest,
            seq,
            all,
            output,
            ..
        } => {
            if digest.is_none() && seq.is_none() && !all {
                return Err(Problem::usage("say which: --digest, --seq or --all"));
            }
            let which = |record: &Record, of: Digest| {
                *all || *seq == Some(record.seq) || *digest == Some(of)
            };
            export(file, which, output.as_deref())
        }
    }
}

/// Gives a log's lines to `take`, and then what is behind the last newline.
fn lines(
    file: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    let of = |error| Problem::new(Status::NotFound, format!("{}: {error}", file.display()));
    let mut reader = BufReader::with_capacity(1 << 18, File::open(file).map_err(of)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(LINE_MAX as u64);
        if bounded.read_until(b'\n', &mut line).map_err(of)? == 0 || line.last() != Some(&b'\n') {
            if line.len() < LINE_MAX {
                return Ok(line);
            }
            let why = format!("{}: a line has more than {LINE_MAX} bytes", file.display());
            return Err(Problem::new(Status::AuditBroken, why));
        }
        line.pop();
        take(&line)?;
    }
}

/// How many bytes of lines a thread reads.
const BATCH: usize = 1 << 20;

/// The same, with the lines read on as many processors as there are.
fn read(
    file: &Path,
    mut take: impl FnMut(&Line) -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut take = |thread: ScopedJoinHandle<'_, Vec<Line>>| {
        let lines = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        lines.iter().try_for_each(&mut take)
    };
    std::thread::scope(|scope| {
        let spawn = |batch: Vec<u8>| {
            scope.spawn(move || {
                let lines = batch.split_inclusive(|byte| *byte == b'\n');
                lines
                    .map(|line| Line::read(&line[..line.len() - 1]))
                    .collect()
            })
        };
        let (mut batch, mut reading) = (Vec::new(), VecDeque::new());
        let torn = lines(file, |line| {
            batch.extend_from_slice(line);
            batch.push(b'\n');
            if batch.len() >= BATCH {
                reading.push_back(spawn(mem::take(&mut batch)));
                if reading.len() > processors {
                    return reading.pop_front().map_or(Ok(()), &mut take);
                }
            }
            Ok(())
        })?;
        reading.push_back(spawn(batch));
        reading.into_iter().try_for_each(take)?;
        Ok(torn)
    })
}

fn read_checkpoint(file: &Path) -> Result<Checkpoint, Problem> {
    let of = |error: String| Problem::usage(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| of(error.to_string()))?;
    text.parse().map_err(|error| of(format!("{error}")))
}

fn verify(
    file: &Path,
    cache: Option<&Path>,
    checkpoint: Option<&Path>,
    format: Format,
) -> Result<Status, Problem> {
    let checkpoint = checkpoint.map(read_checkpoint).transpose()?;
    let keep = if cache.is_some() {
        Keep::Objects
    } else {
        Keep::Nothing
    };
    let mut verifier = Verifier::new(checkpoint, keep);
    let (mut worst, mut count) = (None, 0);
    let mut tell = |findings: Vec<Finding>| {
        findings.into_iter().try_for_each(|finding| {
            worst = worst.max(Some(finding.what.severity()));
            count += 1;
            match format {
                Format::Text => output::line(&Escaped(&finding.to_string()).to_string()),
                Format::Json => output::json_line(&json!({
                    "record": finding.at,
                    "severity": format!("{:?}", finding.what.severity()).to_lowercase(),
                    "finding": finding.what.to_string(),
                })),
            }
        })
    };
    let torn = read(file, |line| tell(verifier.line(line)))?;
    let (verified, findings) = verifier.finish(&torn);
    tell(findings)?;
    if let Some(cache) = cache {
        tell(objects(&verified, cache)?)?;
    }
    let size = verified
        .checkpoint
        .as_ref()
        .map_or(0, |checkpoint| checkpoint.size);
    let status = match worst {
        None | Some(Severity::Note) => Status::Done,
        Some(Severity::Object) => Status::Corrupt,
        Some(Severity::Cut) => Status::AuditCut,
        Some(Severity::Broken) => Status::AuditBroken,
    };
    let word = match status {
        Status::Done => "sound",
        Status::Corrupt => "sound, but the cache is not",
        Status::AuditCut => "CUT SHORT",
        _ => "BROKEN",
    };
    match format {
        Format::Text => output::line(&format!("{size} records, {count} findings: {word}"))?,
        Format::Json => output::json_line(&json!({
            "records": size, "findings": count, "sound": status == Status::Done,
            "checkpoint": verified.checkpoint.map(|checkpoint| checkpoint.to_string()),
        }))?,
    }
    Ok(status)
}

/// What isn't in the cache as it was committed.
fn objects(verified: &Verified, cache: &Path) -> Result<Vec<Finding>, Problem> {
    let store = Store::new(cache.to_owned(), RealDisk);
    let mut findings = Vec::new();
    for digest in &verified.committed {
        let seen = store
            .read(*digest)
            .map_err(|fault| Problem::other(fault.to_string()))?;
        let why = match seen {
            Seen::Absent => "no longer in the cache",
            Seen::Bytes(bytes) if Digest::of(&bytes) == *digest && Index::parse(&bytes).is_ok() => {
                continue;
            }
            _ => "corrupt",
        };
        findings.push(Finding {
            at: None,
            what: What::Object {
                digest: *digest,
                why,
            },
        });
    }
    Ok(findings)
}

/// Reads a whole log that has to be sound, and gives where it stands.
fn sound(file: &Path) -> Result<Checkpoint, Problem> {
    let mut verifier = Verifier::new(None, Keep::Nothing);
    let broken = |finding: &Finding| {
        let status = match finding.what.severity() {
            Severity::Cut => Status::AuditCut,
            _ => Status::AuditBroken,
        };
        let what = Escaped(&finding.to_string()).to_string();
        Problem::new(status, format!("{}: {what}", file.display()))
    };
    let bad = |finding: &&Finding| finding.what.severity() > Severity::Object;
    let torn = read(file, |line| match verifier.line(line).iter().find(bad) {
        Some(finding) => Err(broken(finding)),
        None => Ok(()),
    })?;
    let (verified, findings) = verifier.finish(&torn);
    if let Some(finding) = findings.iter().find(bad) {
        return Err(broken(finding));
    }
    let empty = || Problem::new(Status::AuditCut, format!("{}: no records", file.display()));
    verified.checkpoint.ok_or_else(empty)
}

fn proof_of(file: &Path, seq: u64) -> Result<Status, Problem> {
    let checkpoint = sound(file)?;
    let (mut leaves, mut record) = (Vec::new(), None);
    lines(file, |line| {
        if leaves.len() as u64 == seq {
            record = Some(String::from_utf8_lossy(line).into_owned());
        }
        // Others may append meanwhile.
        if (leaves.len() as u64) < checkpoint.size {
            leaves.push(leaf(line));
        }
        Ok(())
    })?;
    let missing = || Problem::new(Status::NotFound, format!("there is no record {seq}"));
    let record = record
        .filter(|_| seq < checkpoint.size)
        .ok_or_else(missing)?;
    let path = prove(&leaves, usize::try_from(seq).unwrap_or(usize::MAX));
    output::json_line(&Proof::new(record, seq, checkpoint.size, path))?;
    Ok(Status::Done)
}

fn by_proof(proof: &Path, checkpoint: &Path) -> Result<Status, Problem> {
    let checkpoint = read_checkpoint(checkpoint)?;
    let of = |error: String| Problem::usage(format!("{}: {error}", proof.display()));
    let text = std::fs::read(proof).map_err(|error| of(error.to_string()))?;
    let read: Proof = serde_json::from_slice(&text).map_err(|error| of(error.to_string()))?;
    let record = read.check(&checkpoint).map_err(|error| {
        Problem::new(
            Status::AuditBroken,
            format!("{}: {}", proof.display(), Escaped(&error.to_string())),
        )
    })?;
    output::line(&format!(
        "record {} of {} is among the {} records of the checkpoint",
        record.seq,
        record.log.as_str(),
        checkpoint.size
    ))?;
    Ok(Status::Done)
}

/// Every fetch that has ended, with its record's line and its run's skopeo.
fn ended(
    file: &Path,
    mut take: impl FnMut(&Record, &[u8], Option<&SkopeoIdentity>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut runs: HashMap<RunId, Option<SkopeoIdentity>> = HashMap::new();
    let mut at = 0;
    lines(file, |line| {
        let record = Record::parse(line).map_err(|error| {
            let what = Escaped(&error.to_string()).to_string();
            Problem::new(
                Status::AuditBroken,
                format!("{}: record {at}: {what}", file.display()),
            )
        })?;
        at += 1;
        match &record.op {
            Op::Run { skopeo, .. } => {
                runs.insert(record.run.clone(), skopeo.clone());
            }
            Op::End { .. } => {
                runs.remove(&record.run);
            }
            Op::Transition { event, .. }
                if matches!(event.to, State::Committed | State::Failed) =>
            {
                let skopeo = runs.get(&record.run).and_then(Option::as_ref);
                take(&record, line, skopeo)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(())
}

fn show(
    file: &Path,
    wanted: impl Fn(&Record, bool, Digest) -> bool,
    format: Format,
) -> Result<Status, Problem> {
    let mut rows = Vec::new();
    ended(file, |record, _, skopeo| {
        let Op::Transition { event, request, .. } = &record.op else {
            return Ok(());
        };
        let failed = event.to == State::Failed;
        if !wanted(record, failed, request.digest()) {
            return Ok(());
        }
        let how = match (&event.outcome, &event.cause) {
            (_, Some(cause)) => cause.to_string(),
            (Outcome::Found { .. }, None) => "in the cache, rehashed".to_owned(),
            (_, None) => format!("fetched, attempt {}, SHA-256 = digest", event.attempt),
        };
        let skopeo = skopeo.map_or_else(|| "-".to_owned(), |skopeo| skopeo.version.clone());
        match format {
            Format::Json => output::json_line(&json!({
                "seq": record.seq, "time": record.time, "run": record.run,
                "reference": request.to_string(), "digest": request.digest(),
                "outcome": event.to, "how": how, "skopeo": skopeo,
            })),
            Format::Text => {
                let outcome = if failed { "FAILED" } else { "committed" };
                rows.push([
                    record.seq.to_string(),
                    record.time.as_str().to_owned(),
                    outcome.to_owned(),
                    request.to_string(),
                    Escaped(&skopeo).to_string(),
                    how,
                ]);
                Ok(())
            }
        }
    })?;
    if format == Format::Text {
        let head = ["SEQ", "TIME", "OUTCOME", "IMAGE", "SKOPEO", "HOW"];
        for line in output::columns(head, &rows) {
            output::line(&line)?;
        }
    }
    Ok(Status::Done)
}

fn export(
    file: &Path,
    wanted: impl Fn(&Record, Digest) -> bool,
    to: Option<&Path>,
) -> Result<Status, Problem> {
    // What isn't sound isn't stated.
    sound(file)?;
    let mut statements = String::new();
    ended(file, |record, line, skopeo| {
        if let Op::Transition { request, .. } = &record.op
            && wanted(record, request.digest())
            && let Some(statement) = statement(record, line, skopeo)
        {
            statements.push_str(&format!("{statement}\n"));
        }
        Ok(())
    })?;
    if statements.is_empty() {
        return Err(Problem::new(Status::NotFound, "no such fetch has ended"));
    }
    match to {
        None => output::line(statements.trim_end())?,
        Some(to) => std::fs::write(to, statements)
            .map_err(|error| Problem::other(format!("{}: {error}", to.display())))?,
    }
    Ok(Status::Done)
}
