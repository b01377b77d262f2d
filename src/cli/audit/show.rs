//! `skopeo-index audit show`.

use std::mem;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use super::read::{self, Runs};
use skopeo_index_core::audit::{Entry, Finding, KeepObjects, Record, RunInfo};
use crate::cli::exit::ExitStatus;
use crate::cli::output;
use crate::cli::output::CliError;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Event, Outcome, State};
use skopeo_index_core::request::Request;
use skopeo_index_core::escape::Escaped;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// How many rows are looked at for the width of columns.
const ROWS: usize = 256;

const HEAD: [&str; 7] = ["SEQ", "TIME", "OUTCOME", "DIGEST", "IMAGE", "SKOPEO", "HOW"];

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let (mut runs, mut table, mut worst) = (Runs::default(), Table::default(), None);
    let mut warn = |findings: &[Finding]| {
        for finding in findings.iter().filter(|finding| read::is_bad(finding)) {
            worst = worst.max(Some(finding.what.severity()));
            let what = Escaped(&finding.to_string()).to_string();
            output::print_stderr(&format!("{}: {what}", args.file.display()));
        }
    };
    let (_, findings) = read::checked(&args.file, None, KeepObjects::Nothing, |line, findings| {
        warn(&findings);
        let Some(record) = line.record() else {
            return Ok(());
        };
        match (runs.ended(record), &record.op) {
            (Some(run), Entry::Transition { event, request, .. })
                if args.wants(record, event, request) =>
            {
                let ended = FetchRow {
                    record,
                    run,
                    event,
                    request,
                };
                match args.format {
                    Format::Json => output::json_line(&ended.json()),
                    Format::Table => table.push(ended.row()),
                }
            }
            _ => Ok(()),
        }
    })?;
    if args.format == Format::Table {
        table.finish()?;
    }
    warn(&findings);
    Ok(read::status(worst))
}

impl Args {
    fn wants(&self, record: &Record, event: &Event, request: &Request) -> bool {
        self.digest.is_none_or(|digest| digest == request.digest())
            && self
                .run
                .as_ref()
                .is_none_or(|run| run == record.run.as_str())
            && (event.to == State::Failed || !self.failed)
    }
}

/// A fetch that has ended.
struct FetchRow<'r> {
    record: &'r Record,
    run: &'r RunInfo,
    event: &'r Event,
    request: &'r Request,
}

impl FetchRow<'_> {
    /// Fit for a terminal.
    fn how(&self) -> String {
        let (event, from) = (self.event, &self.run.from);
        match (&event.outcome, &event.cause, from) {
            (_, Some(cause), _) => cause.to_string(),
            (Outcome::ObjectReport { .. }, None, _) => "in the cache, rehashed".to_owned(),
            (_, None, Some(from)) => format!("copied from {}, SHA-256 = digest", Escaped(from)),
            (_, None, None) => format!("fetched, attempt {}, SHA-256 = digest", event.attempt),
        }
    }

    fn skopeo(&self) -> &str {
        let skopeo = self.run.skopeo.as_ref();
        skopeo.map_or("-", |skopeo| &skopeo.version)
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "seq": self.record.seq, "time": self.record.time, "run": self.record.run,
            "reference": self.request.to_string(), "digest": self.request.digest(),
            "outcome": self.event.to, "how": self.how(), "skopeo": self.skopeo(),
        })
    }

    fn row(&self) -> [String; 7] {
        let outcome = match self.event.to {
            State::Failed => "FAILED",
            _ => "committed",
        };
        [
            self.record.seq.to_string(),
            self.record.time.as_str().to_owned(),
            outcome.to_owned(),
            self.request.digest().to_string(),
            self.request.name().to_string(),
            Escaped(self.skopeo()).to_string(),
            self.how(),
        ]
    }
}

/// Prints rows as they come, in columns that are as wide as the widest so far.
struct Table {
    widths: [usize; 7],
    rows: Vec<[String; 7]>,
}

impl Default for Table {
    fn default() -> Self {
        let rows = vec![HEAD.map(str::to_owned)];
        Self {
            widths: [0; 7],
            rows,
        }
    }
}

impl Table {
    fn push(&mut self, row: [String; 7]) -> Result<(), CliError> {
        self.rows.push(row);
        match self.rows.len() {
            ..ROWS => Ok(()),
            _ => self.finish(),
        }
    }

    fn finish(&mut self) -> Result<(), CliError> {
        for row in &self.rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in mem::take(&mut self.rows) {
            let cells = row.iter().zip(self.widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            output::line(cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}
