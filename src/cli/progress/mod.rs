//! Progress on stderr: bars on a terminal, plain lines off it, JSON for programs.

mod bars;

use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime};

use bars::Bars;
use indicatif::DecimalBytes;
use serde_json::{Value, json};

use super::{hint, output};
use crate::audit::Checkpoint;
use crate::executor::{Id, Report, Step, Unrecorded, Witness};
use crate::machine::{Cause, Outcome, Provenance, State, Trouble};
use crate::request::Request;
use crate::skopeo::Options;

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
    done: std::sync::atomic::AtomicUsize,
    options: &'a Options,
    debug: bool,
}

enum Show {
    Bars(Bars),
    Plain,
    Json,
    None,
}

/// What a run has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    fetched: usize,
    cached: usize,
    failed: usize,
    bytes: u64,
}

impl Summary {
    /// Adds a report.
    pub(super) fn count(&mut self, report: &Report) {
        match &report.result {
            Err(_) => self.failed += 1,
            Ok(committed) if *committed.provenance() == Provenance::Hit => self.cached += 1,
            Ok(committed) => {
                self.fetched += 1;
                self.bytes += committed.size();
            }
        }
    }
}

impl<'a> Progress<'a> {
    pub(super) fn new(mode: Mode, total: usize, options: &'a Options, debug: bool) -> Self {
        let show = match mode {
            Mode::Bars => Show::Bars(Bars::new(total)),
            Mode::Plain => Show::Plain,
            Mode::Json => Show::Json,
            Mode::None => Show::None,
        };
        Self {
            show,
            total,
            done: 0.into(),
            options,
            debug,
        }
    }

    /// Tells something that isn't a failure.
    pub(super) fn note(&self, text: &str) {
        match &self.show {
            Show::Bars(bars) => bars.line(text),
            Show::Plain => output::tell(&format!("{} {text}", now())),
            Show::Json => tell_json("note", json!({ "text": text })),
            Show::None => {}
        }
    }

    /// Ends the display with a summary.
    pub(super) fn finish(
        &self,
        summary: &Summary,
        took: Duration,
        checkpoint: Option<&Checkpoint>,
    ) {
        let Summary {
            fetched,
            cached,
            failed,
            bytes,
        } = *summary;
        let text = format!(
            "{fetched} fetched, {cached} cached, {failed} failed; {} in {}",
            DecimalBytes(bytes),
            seconds(took)
        );
        if let (Some(checkpoint), Show::Bars(_) | Show::Plain) = (checkpoint, &self.show) {
            let checkpoint = checkpoint.to_string();
            self.note(&format!(
                "audit log: {}",
                checkpoint.trim_end().replace('\n', " ")
            ));
        }
        match &self.show {
            Show::Bars(bars) => bars.finish(&text),
            Show::Plain => output::tell(&format!("{} {text}", now())),
            Show::Json => tell_json(
                "summary",
                json!({
                    "fetched": fetched, "cached": cached, "failed": failed, "bytes": bytes,
                    "checkpoint": checkpoint.map(Checkpoint::to_string),
                    "milliseconds": millis(took),
                }),
            ),
            Show::None => {}
        }
    }

    fn error(&self, request: &Request, failure: &crate::executor::Failure) {
        let message = format!("{request}: {failure}");
        let text = output::error_text(&message, hint::of(&failure.cause, self.options).as_deref());
        match &self.show {
            Show::Bars(bars) => bars.line(&text),
            Show::Plain | Show::None => output::tell(&text),
            Show::Json => {}
        }
    }
}

impl Witness for Progress<'_> {
    fn began(&self, of: Id, request: &Request) {
        if let Show::Bars(bars) = &self.show {
            bars.began(of, request);
        }
    }

    fn transition(&self, of: Id, request: &Request, step: &Step) -> Result<(), Unrecorded> {
        match &self.show {
            Show::Json => tell_json("transition", transition_json(of, request, step)),
            Show::Bars(bars) => bars.moved(of, step.event.to),
            Show::Plain | Show::None => {}
        }
        if let (true, Some(command)) = (self.debug, &step.command) {
            let argv: Vec<_> = command.argv.iter().map(|a| a.to_string_lossy()).collect();
            self.note(&format!(
                "{request}: skopeo {} ({})",
                argv.join(" "),
                seconds(command.took)
            ));
        }
        if let (State::Staged, Outcome::Trouble { trouble }) = (step.event.to, &step.event.outcome)
        {
            self.note(&format!(
                "{request}: attempt {}: {trouble}; trying again",
                step.event.attempt
            ));
        }
        Ok(())
    }

    fn ended(&self, of: Id, report: &Report) {
        let done = 1 + self.done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match (&self.show, &report.result) {
            (Show::Bars(bars), _) => bars.ended(of, done),
            (Show::Plain, Ok(committed)) => {
                let how = match committed.provenance() {
                    Provenance::Hit => "cached",
                    Provenance::Fetched { .. } => "fetched",
                };
                let size = DecimalBytes(committed.size());
                output::tell(&format!(
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
        // Who stops everything needs to be told once, by the summary.
        if let Err(failure) = &report.result
            && !matches!(
                failure.cause,
                Cause::Trouble {
                    trouble: Trouble::Stopped { .. }
                }
            )
        {
            self.error(&report.request, failure);
        }
    }
}

fn transition_json(of: Id, request: &Request, step: &Step) -> Value {
    let mut json = json!({ "item": of.0, "reference": request.to_string() });
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
fn tell_json(event: &str, mut value: Value) {
    if let Value::Object(map) = &mut value {
        map.insert("event".to_owned(), event.into());
        map.insert("time".to_owned(), now().into());
    }
    output::tell_json(&value);
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
