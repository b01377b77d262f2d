//! Progress on stderr: bars on a terminal, plain lines off it, JSON for programs.

mod bars;
mod display;
mod summary;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bars::activity;
use display::{print_event, timestamp};
use serde_json::{Value, json};
use skopeo_index::fetch::{FetchId, FetchReport, Observer, Transition, Veto};
use skopeo_index::os::Priority;
use skopeo_index::units::{Count, DecimalBytes};
use skopeo_index::verifier::VerifierRunner;
use skopeo_index_core::audit::Checkpoint;
use skopeo_index_core::escape::EscapedPath;
use skopeo_index_core::index::MediaType;
use skopeo_index_core::machine::{Committed, EffectError, Failed, ManifestBytes, Outcome, State};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::{SkopeoDebug, SkopeoOptions};
use summary::{Cancelled, RunSummary, cancel_reason};

use super::exit::ExitStatus;
use super::{hint, output};

pub(super) use display::{Display, ProgressArgs};

/// Shows what happens to a run's fetches.
pub(super) struct Progress<'a> {
    pub(super) display: Display,
    pub(super) total: usize,
    pub(super) options: &'a SkopeoOptions,
    pub(super) cache: &'a Path,
    pub(super) verifiers: Option<&'a dyn VerifierRunner>,
    pub(super) summary: Mutex<RunSummary>,
}

impl Progress<'_> {
    /// Ends the display: whether the run was cancelled, and its summary. `log` is the audit
    /// log and its checkpoint.
    pub(super) fn finish(&self, took: Duration, log: Option<(&Path, Checkpoint)>) {
        let summary = self.summary().clone();
        if let Some(cancelled) = &summary.cancelled {
            self.cancelled(cancelled);
        }
        let log_text = log.as_ref().map_or_else(String::new, |(path, checkpoint)| {
            format!(
                "; audit log {}: {}",
                EscapedPath(path),
                Count(checkpoint.size, "record")
            )
        });
        let dropped = output::dropped();
        if dropped > 0 {
            self.display.note(&format!(
                "{} dropped, because stderr was not read",
                Count(dropped, "line")
            ));
        }
        match &self.display {
            Display::Bars(_) | Display::Plain => output::print_stderr(&format!(
                "{}{summary} in {}{log_text}",
                timestamp(),
                seconds(took)
            )),
            Display::Json => print_event(
                Priority::Message,
                "summary",
                json!({
                    "fetched": summary.fetched, "cached": summary.cached,
                    "failed": summary.failed, "notFetched": summary.not_fetched(),
                    "bytes": summary.bytes,
                    "checkpoint": log.map(|(_, checkpoint)| checkpoint.to_string()),
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
        self.display.error(&message, None, "cancelled", json);
    }

    fn committed(&self, request: &Request, committed: &Committed<ManifestBytes>, done: usize) {
        let name = short(request);
        if let Display::Plain = self.display {
            let media_type = match committed.index().media_type {
                MediaType::OciImageIndex => "OCI index",
                MediaType::DockerManifestList => "Docker manifest list",
            };
            self.display.note(&format!(
                "{} {name}: {media_type}, {}, {} ({done}/{})",
                committed.provenance().as_str(),
                Count(committed.index().manifests, "manifest"),
                DecimalBytes(committed.size()),
                self.total,
            ));
        }
        if let Some(moved) = committed.quarantined() {
            self.display.note(&format!(
                "replaced {name}: the object in the cache was corrupt and is now {moved}"
            ));
        }
    }

    fn failed(&self, request: &Request, failed: &Failed) {
        let hint = hint::of_failed(failed, self.options, self.cache);
        let json = json!({
            "reference": request.to_string(), "source": request.skopeo_source(),
            "state": failed.state(), "error": failed.cause().to_string(), "hint": hint,
        });
        if self.options.debug == SkopeoDebug::On {
            self.display
                .note(&format!("failed in state {}: {request}", failed.state()));
        }
        self.display
            .error(&failed.to_string(), hint.as_deref(), "error", json);
    }

    fn summary(&self) -> MutexGuard<'_, RunSummary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress<'_> {
    fn began(&self, id: FetchId, request: &Request) {
        let activity = activity(State::Pending, self.verifiers);
        self.display.began(id, short(request), activity);
    }

    fn transition(
        &self,
        id: FetchId,
        request: &Request,
        transition: &Transition,
    ) -> Result<(), Veto> {
        let event = &transition.event;
        match &self.display {
            Display::Json => {
                let json = transition_json(id, request, transition);
                print_event(Priority::Progress, "transition", json);
            }
            Display::Bars(bars) => bars.moved(id, activity(event.to, self.verifiers)),
            Display::Plain | Display::None => {}
        }
        if self.options.debug == SkopeoDebug::On
            && let Some(engine) = &transition.trace.engine
        {
            let text = format!("{}: engine {engine}", short(request));
            self.display.note(&text);
        }
        if let (State::Staged, Outcome::Failed { error }) = (event.to, &event.outcome) {
            self.display
                .note(&retry_note(&short(request), event.attempt, error));
        }
        Ok(())
    }

    fn ended(&self, id: FetchId, report: &FetchReport) {
        let done = {
            let mut summary = self.summary();
            summary.count(id, report);
            summary.done()
        };
        self.display
            .ended(id, ExitStatus::of_result(&report.result));
        match &report.result {
            Ok(committed) => self.committed(&report.request, committed, done),
            // A cancellation is shown once, at the end.
            Err(failed) if cancel_reason(failed.cause()).is_some() => {}
            Err(failed) => self.failed(&report.request, failed),
        }
    }
}

fn transition_json(id: FetchId, request: &Request, transition: &Transition) -> Value {
    let mut json = json!(transition.event);
    json["item"] = id.0.into();
    json["reference"] = request.to_string().into();
    json["source"] = request.skopeo_source().into();
    let trace = &transition.trace;
    if let Some(command) = &trace.command {
        json["argv"] = json!(command.argv);
        json["milliseconds"] = command.milliseconds.into();
    }
    if let Some(exchange) = &trace.exchange {
        json["registry"] = json!(exchange);
    }
    if let Some(engine) = &trace.engine {
        json["engine"] = json!(engine);
    }
    json
}

/// A note about a failure that is retried.
pub(super) fn retry_note(name: &str, attempt: u32, error: &EffectError) -> String {
    format!("retrying {name}: attempt {attempt}: {error}")
}

/// Length of a digest on a line of progress: enough to recognise it.
const SHORT_DIGEST: usize = "sha256:".len() + 12;

/// A request with its digest shortened.
fn short(request: &Request) -> String {
    let digest = request.digest().to_string();
    request
        .to_string()
        .replace(&digest, &format!("{}…", &digest[..SHORT_DIGEST]))
}

pub(super) fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
