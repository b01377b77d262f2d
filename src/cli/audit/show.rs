//! `skopeo-index audit show`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;
use skopeo_index::audit_log::{OpenRuns, is_bad, verify_logs};
use skopeo_index_core::audit::{
    Entry, FetchEngine, FetchOrigin, Finding, Invocation, KeepObjects, ParsedLine, Record,
    SourceInfo, TransitionRecord,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::{Escaped, EscapedPath, json_text, printable};
use skopeo_index_core::machine::{Event, Outcome, State};
use skopeo_index_core::request::{Location, Request};

use super::print_left_out;
use crate::cli::exit::ExitStatus;
use crate::cli::output::{self, CliError, of_severity};
use crate::cli::table::Table;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The log, or several of which each continues the one before it
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only fetches of this digest
    #[arg(long)]
    digest: Option<Digest>,
    /// Only fetches of this run
    #[arg(long)]
    run: Option<String>,
    /// Only failed fetches
    #[arg(long)]
    failed: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: ShowFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// Human-readable table
    Table,
    /// JSON Lines
    Json,
}

const HEAD: [&str; 9] = [
    "SEQ", "TIME", "OUTCOME", "DIGEST", "IMAGE", "ENGINE", "WHO", "LABELS", "HOW",
];

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let (mut runs, mut table, mut worst) = (OpenRuns::default(), Table::new(HEAD), None);
    let take = |log: &Path, line: Option<&ParsedLine>, findings: Vec<Finding>| {
        for finding in findings.iter().filter(|finding| is_bad(finding)) {
            worst = worst.max(Some(finding.kind.severity()));
            let finding = printable(&finding.to_string());
            output::print_stderr(&format!("{}: {finding}", EscapedPath(log)));
        }
        let Some(record) = line.and_then(ParsedLine::record) else {
            return Ok(());
        };
        match (runs.fetch_end(record), &record.entry) {
            (Some(origin), Entry::Transition(TransitionRecord { event, request, .. }))
                if args.matches(record, event, request) =>
            {
                let row = FetchRow {
                    log: (args.files.len() > 1).then_some(log),
                    record,
                    origin,
                    event,
                    request,
                };
                match args.format {
                    ShowFormat::Json => output::json_line(&row.json()),
                    ShowFormat::Table => table.push(row.cells()),
                }
            }
            _ => Ok(()),
        }
    };
    verify_logs::<CliError>(&args.files, None, KeepObjects::No, take)?;
    if args.format == ShowFormat::Table {
        table.print()?;
    }
    print_left_out(&runs);
    Ok(of_severity(worst))
}

impl Args {
    fn matches(&self, record: &Record, event: &Event, request: &Request) -> bool {
        let run = self.run.as_ref();
        self.digest.is_none_or(|digest| digest == request.digest())
            && run.is_none_or(|run| *run == record.run.to_string())
            && (event.to == State::Failed || !self.failed)
    }
}

/// A completed fetch.
struct FetchRow<'r> {
    /// Given where there are several.
    log: Option<&'r Path>,
    record: &'r Record,
    origin: FetchOrigin,
    event: &'r Event,
    request: &'r Request,
}

impl FetchRow<'_> {
    /// How it ended, as printable text.
    fn how(&self) -> String {
        let event = self.event;
        let how = match (&event.outcome, &event.cause, &self.origin.run.source) {
            (_, Some(cause), _) => cause.to_string(),
            // `Continued` follows a hit that verifiers have approved.
            (Outcome::LookedUp { .. } | Outcome::Continued, None, _) => {
                "in the cache, rehashed".to_owned()
            }
            (_, None, SourceInfo::Cache(cache)) => {
                format!("copied from {}, SHA-256 = digest", Escaped(cache))
            }
            (_, None, _) => {
                format!("fetched, attempt {}, SHA-256 = digest", event.attempt)
            }
        };
        match (self.origin.verifiers.len(), event.to) {
            (0, _) | (_, State::Failed) => how,
            (1, _) => how + ", approved by 1 verifier",
            (count, _) => format!("{how}, approved by {count} verifiers"),
        }
    }

    /// Who brought the bytes: skopeo's version, and the endpoint that answered.
    fn engine(&self) -> String {
        let is_storage = matches!(self.request.location(), Location::ContainersStorage { .. });
        match &self.origin.engine {
            Some(FetchEngine::Skopeo { identity, .. }) if is_storage => identity.version.clone(),
            Some(FetchEngine::Skopeo { identity, .. }) => {
                let endpoint = self.endpoint().unwrap_or("endpoint not known");
                format!("{}, {endpoint}", identity.version)
            }
            Some(FetchEngine::Registry(exchange)) => match &exchange.peer {
                Some(peer) => format!("{} ({peer})", exchange.endpoint),
                None => exchange.endpoint.clone(),
            },
            None => "-".to_owned(),
        }
    }

    /// The endpoint that answered, where it is known.
    fn endpoint(&self) -> Option<&str> {
        match self.origin.engine.as_ref()? {
            FetchEngine::Skopeo { answer, .. } => Some(&answer.as_ref()?.endpoint),
            FetchEngine::Registry(exchange) => exchange.status.map(|_| &*exchange.endpoint),
        }
    }

    /// Who ran it, and on which host: `root (login 1000) on build7`.
    fn who(&self) -> String {
        let Invocation {
            host,
            login_uid,
            uid,
            user,
            ..
        } = &self.origin.run.invocation;
        let mut who = user.clone().unwrap_or_else(|| format!("uid {uid}"));
        if let Some(login) = login_uid.filter(|login| login != uid) {
            who += &format!(" (login {login})");
        }
        if let Some(host) = host {
            who += &format!(" on {host}");
        }
        who
    }

    fn labels(&self) -> String {
        let labels = self.origin.run.invocation.labels.iter();
        let labels: Vec<_> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        match labels.is_empty() {
            true => "-".to_owned(),
            false => labels.join(","),
        }
    }

    fn json(&self) -> serde_json::Value {
        let mut row = json!({
            "seq": self.record.seq, "time": self.record.time, "run": self.record.run,
            "reference": self.request.to_string(), "digest": self.request.digest(),
            "outcome": self.event.to, "how": self.how(), "engine": self.engine(),
            "verifiers": self.origin.verifiers,
            "endpoint": self.endpoint(), "invocation": self.origin.run.invocation,
        });
        if let Some(log) = self.log {
            row["log"] = json_text(log).into();
        }
        row
    }

    fn cells(&self) -> [String; 9] {
        let outcome = match self.event.to {
            State::Failed => "FAILED",
            _ => "committed",
        };
        let seq = self.record.seq;
        [
            self.log
                .map_or(seq.to_string(), |log| format!("{}:{seq}", EscapedPath(log))),
            self.record.time.as_str().to_owned(),
            outcome.to_owned(),
            self.request.digest().to_string(),
            self.request.name().to_string(),
            Escaped(&self.engine()).to_string(),
            Escaped(&self.who()).to_string(),
            Escaped(&self.labels()).to_string(),
            self.how(),
        ]
    }
}
