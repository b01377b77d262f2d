//! Progress on stderr: bars on a terminal, plain lines off it, JSON for programs.

mod bars;
mod summary;

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bars::Bars;
use clap::ValueEnum;
use indicatif::DecimalBytes;
use serde_json::{Value, json};
use skopeo_index::fetch::{FetchId, FetchReport, Observer, Transition, Veto};
use skopeo_index_core::audit::Checkpoint;
use skopeo_index_core::machine::{Failed, Outcome, State};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::{SkopeoDebug, SkopeoOptions};
use summary::{Cancelled, RunSummary, cancel_reason};

use super::{hint, output};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressMode {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    /// A line for each index
    Plain,
    /// A JSON object for each transition, on stderr
    Json,
    /// Errors only
    None,
}

/// Shows what happens to a run's fetches.
pub(super) struct Progress<'a> {
    display: Display,
    total: usize,
    summary: Mutex<RunSummary>,
    options: &'a SkopeoOptions,
}

enum Display {
    Bars(Bars),
    Plain,
    Json,
    None,
}

impl<'a> Progress<'a> {
    /// Progress of `total` fetches.
    pub(super) fn new(mode: ProgressMode, total: usize, options: &'a SkopeoOptions) -> Self {
        let display = match mode {
            ProgressMode::Auto if io::stderr().is_terminal() => Display::Bars(Bars::new(total)),
            ProgressMode::Auto | ProgressMode::Plain => Display::Plain,
            ProgressMode::Json => Display::Json,
            ProgressMode::None => Display::None,
        };
        Self {
            display,
            total,
            summary: Mutex::default(),
            options,
        }
    }

    /// Shows something that is not a failure.
    pub(super) fn note(&self, text: &str) {
        match &self.display {
            Display::Bars(bars) => bars.line(text),
            Display::Plain => output::print_stderr(&format!("{} {text}", now())),
            Display::Json => print_event("note", json!({ "text": text })),
            Display::None => {}
        }
    }

    /// Ends the display: whether the run was cancelled, and its summary.
    pub(super) fn finish(&self, took: Duration, checkpoint: Option<&Checkpoint>) {
        let summary = self.summary().clone();
        if let Some(cancelled) = &summary.cancelled {
            self.cancelled(cancelled);
        }
        if let (Some(checkpoint), Display::Bars(_) | Display::Plain) = (checkpoint, &self.display) {
            let checkpoint = checkpoint.to_string();
            let fields = checkpoint.trim_end().replace('\n', " ");
            self.note(&format!("audit log: {fields}"));
        }
        let text = format!("{summary} in {}", seconds(took));
        match &self.display {
            Display::Bars(bars) => bars.finish(&text),
            Display::Plain => output::print_stderr(&format!("{} {text}", now())),
            Display::Json => print_event(
                "summary",
                json!({
                    "fetched": summary.fetched, "cached": summary.cached,
                    "failed": summary.failed, "bytes": summary.bytes,
                    "checkpoint": checkpoint.map(Checkpoint::to_string),
                    "milliseconds": millis(took),
                }),
            ),
            Display::None => {}
        }
    }

    /// Shows once what cancelled many fetches.
    fn cancelled(&self, cancelled: &Cancelled) {
        let Cancelled {
            reason,
            count,
            first: (_, first),
        } = cancelled;
        let total = self.total;
        let message = format!("{reason}: {count} of {total} not fetched (first: {first})");
        let json = json!({
            "error": reason.to_string(), "notFetched": count, "of": total,
            "first": first.to_string(),
        });
        self.error(&message, None, "cancelled", json);
    }

    fn failed(&self, request: &Request, failed: &Failed) {
        let hint = hint::of_failed(failed, self.options);
        let json = json!({
            "reference": request.to_string(), "source": request.skopeo_source(),
            "state": failed.state(), "error": failed.cause().to_string(), "hint": hint,
        });
        if self.options.debug == SkopeoDebug::On {
            self.note(&format!("{request}: failed in state {}", failed.state()));
        }
        self.error(&failed.to_string(), hint.as_deref(), "error", json);
    }

    fn error(&self, message: &str, hint: Option<&str>, event: &str, json: Value) {
        let text = output::error_text(message, hint);
        match &self.display {
            Display::Bars(bars) => bars.line(&text),
            Display::Plain | Display::None => output::print_stderr(&text),
            Display::Json => print_event(event, json),
        }
    }

    fn summary(&self) -> MutexGuard<'_, RunSummary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress<'_> {
    fn began(&self, id: FetchId, request: &Request) {
        if let Display::Bars(bars) = &self.display {
            bars.began(id, request);
        }
    }

    fn transition(
        &self,
        id: FetchId,
        request: &Request,
        transition: &Transition,
    ) -> Result<(), Veto> {
        let event = &transition.event;
        match &self.display {
            Display::Json => print_event("transition", transition_json(id, request, transition)),
            Display::Bars(bars) => bars.moved(id, event.to),
            Display::Plain | Display::None => {}
        }
        if let (State::Staged, Outcome::Failed { error }) = (event.to, &event.outcome) {
            self.note(&format!(
                "{request}: attempt {}: {error}; retrying",
                event.attempt
            ));
        }
        Ok(())
    }

    fn ended(&self, id: FetchId, report: &FetchReport) {
        let done = {
            let mut summary = self.summary();
            summary.count(id, report);
            summary.done()
        };
        let request = &report.request;
        match (&self.display, &report.result) {
            (Display::Bars(bars), _) => bars.ended(id, done),
            (Display::Plain, Ok(committed)) => output::print_stderr(&format!(
                "{} {done}/{} {request} {}, {}, {} manifests, {}",
                now(),
                self.total,
                committed.provenance().as_str(),
                committed.index().media_type,
                committed.index().manifests,
                DecimalBytes(committed.size()),
            )),
            _ => {}
        }
        match &report.result {
            Ok(committed) => {
                if let Some(name) = committed.quarantined() {
                    self.note(&format!(
                        "{request}: the object in the cache was corrupt and is now {name}"
                    ));
                }
            }
            // A cancellation is shown once, at the end.
            Err(failed) if cancel_reason(failed.cause()).is_some() => {}
            Err(failed) => self.failed(request, failed),
        }
    }
}

fn transition_json(id: FetchId, request: &Request, transition: &Transition) -> Value {
    let mut json = json!({
        "item": id.0, "reference": request.to_string(), "source": request.skopeo_source(),
    });
    if let (Value::Object(json), Ok(Value::Object(event))) =
        (&mut json, serde_json::to_value(&transition.event))
    {
        json.extend(event);
        if let Some(command) = &transition.command {
            json.insert("argv".to_owned(), json!(command.argv));
            json.insert("milliseconds".to_owned(), json!(command.milliseconds));
        }
    }
    json
}

/// Writes an event to stderr.
fn print_event(event: &str, mut value: Value) {
    if let Value::Object(map) = &mut value {
        map.insert("event".to_owned(), event.into());
        map.insert("time".to_owned(), now().into());
    }
    output::print_stderr_json(&value);
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

pub(super) fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
