//! Progress on stderr: bars on a terminal, plain lines off it, JSON for programs.

mod bars;
mod loud;
mod summary;

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bars::Bars;
use indicatif::DecimalBytes;
pub(super) use loud::DebugRunner;
use serde_json::{Value, json};
use summary::{Stopped, Summary, stop_of};

use super::{hint, output};
use skopeo_index_core::audit::Checkpoint;
use skopeo_index::fetch::{Failure, FetchId, FetchReport, Observer, Transition, Veto};
use skopeo_index_core::machine::{Outcome, Provenance, State};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::SkopeoOptions;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Bars,
    Plain,
    Json,
    None,
}

/// Whether somebody looks at stderr.
pub(super) fn on_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Shows what happens to a run's fetches.
pub(super) struct Progress<'a> {
    show: Show,
    total: usize,
    summary: Mutex<Summary>,
    options: &'a SkopeoOptions,
}

enum Show {
    Bars(Bars),
    Plain,
    Json,
    None,
}

impl<'a> Progress<'a> {
    /// Of `total` fetches.
    pub(super) fn new(mode: Mode, total: usize, options: &'a SkopeoOptions) -> Self {
        let show = match mode {
            Mode::Bars => Show::Bars(Bars::new(total)),
            Mode::Plain => Show::Plain,
            Mode::Json => Show::Json,
            Mode::None => Show::None,
        };
        Self {
            show,
            total,
            summary: Mutex::default(),
            options,
        }
    }

    /// Tells something that isn't a failure.
    pub(super) fn note(&self, text: &str) {
        match &self.show {
            Show::Bars(bars) => bars.line(text),
            Show::Plain => output::print_stderr(&format!("{} {text}", now())),
            Show::Json => print_stderr_json("note", json!({ "text": text })),
            Show::None => {}
        }
    }

    /// Ends the display: whether the run was stopped, and its sum.
    pub(super) fn finish(&self, took: Duration, checkpoint: Option<&Checkpoint>) {
        let summary = self.summary().clone();
        if let Some(stopped) = &summary.stopped {
            self.stopped(stopped);
        }
        if let (Some(checkpoint), Show::Bars(_) | Show::Plain) = (checkpoint, &self.show) {
            let checkpoint = checkpoint.to_string();
            self.note(&format!(
                "audit log: {}",
                checkpoint.trim_end().replace('\n', " ")
            ));
        }
        let text = format!("{summary} in {}", seconds(took));
        match &self.show {
            Show::Bars(bars) => bars.finish(&text),
            Show::Plain => output::print_stderr(&format!("{} {text}", now())),
            Show::Json => print_stderr_json(
                "summary",
                json!({
                    "fetched": summary.fetched, "cached": summary.cached,
                    "failed": summary.failed, "bytes": summary.bytes,
                    "checkpoint": checkpoint.map(Checkpoint::to_string),
                    "milliseconds": millis(took),
                }),
            ),
            Show::None => {}
        }
    }

    /// What stops everything is told once.
    fn stopped(&self, Stopped { why, count, first }: &Stopped) {
        let (total, first) = (self.total, &first.1);
        let message =
            format!("{why}: {count} of {total} were not fetched, the first of them {first}");
        let json = json!({
            "error": why.to_string(), "notFetched": count, "of": total, "first": first.to_string(),
        });
        self.error(&message, None, "stopped", json);
    }

    fn failed(&self, request: &Request, failure: &Failure) {
        let hint = hint::of(&failure.cause, self.options);
        let json = json!({
            "reference": request.to_string(), "source": request.skopeo_source(),
            "error": failure.to_string(), "hint": hint,
        });
        self.error(
            &format!("{request}: {failure}"),
            hint.as_deref(),
            "error",
            json,
        );
    }

    fn error(&self, message: &str, hint: Option<&str>, event: &str, json: Value) {
        let text = output::error_text(message, hint);
        match &self.show {
            Show::Bars(bars) => bars.line(&text),
            Show::Plain => output::print_stderr(&format!("{} {text}", now())),
            Show::None => output::print_stderr(&text),
            Show::Json => print_stderr_json(event, json),
        }
    }

    fn summary(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress<'_> {
    fn began(&self, of: FetchId, request: &Request) {
        if let Show::Bars(bars) = &self.show {
            bars.began(of, request);
        }
    }

    fn transition(&self, of: FetchId, request: &Request, step: &Transition) -> Result<(), Veto> {
        match &self.show {
            Show::Json => print_stderr_json("transition", transition_json(of, request, step)),
            Show::Bars(bars) => bars.moved(of, step.event.to),
            Show::Plain | Show::None => {}
        }
        if let (State::Staged, Outcome::Failed { trouble }) = (step.event.to, &step.event.outcome)
        {
            self.note(&format!(
                "{request}: attempt {}: {trouble}; trying again",
                step.event.attempt
            ));
        }
        Ok(())
    }

    fn ended(&self, of: FetchId, report: &FetchReport) {
        let done = {
            let mut summary = self.summary();
            summary.count(of, report);
            summary.done()
        };
        match (&self.show, &report.result) {
            (Show::Bars(bars), _) => bars.ended(of, done),
            (Show::Plain, Ok(committed)) => {
                let how = match committed.provenance() {
                    Provenance::Hit => "cached",
                    Provenance::Fetched { .. } => "fetched",
                };
                let size = DecimalBytes(committed.size());
                output::print_stderr(&format!(
                    "{} {done}/{} {} {how}, {}, {} manifests, {size}",
                    now(),
                    self.total,
                    report.request,
                    committed.index().media_type,
                    committed.index().manifests,
                ));
            }
            _ => {}
        }
        if let Ok(committed) = &report.result
            && let Some(name) = committed.quarantined()
        {
            self.note(&format!(
                "{}: the object in the cache was corrupt and is now {name}",
                report.request
            ));
        }
        if let Err(failure) = &report.result
            && stop_of(&failure.cause).is_none()
        {
            self.failed(&report.request, failure);
        }
    }
}

fn transition_json(of: FetchId, request: &Request, step: &Transition) -> Value {
    let mut json = json!({
        "item": of.0, "reference": request.to_string(), "source": request.skopeo_source(),
    });
    if let (Value::Object(json), Ok(Value::Object(event))) =
        (&mut json, serde_json::to_value(&step.event))
    {
        json.extend(event);
        if let Some(command) = &step.command {
            let argv: Vec<_> = command.argv.iter().map(|a| a.to_string_lossy()).collect();
            json.insert("argv".to_owned(), json!(argv));
            json.insert("milliseconds".to_owned(), json!(millis(command.took)));
        }
    }
    json
}

/// Writes an event to stderr.
fn print_stderr_json(event: &str, mut value: Value) {
    if let Value::Object(map) = &mut value {
        map.insert("event".to_owned(), event.into());
        map.insert("time".to_owned(), now().into());
    }
    output::print_stderr_json(&value);
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
