//! Where progress and errors are shown: `--progress` and `--quiet`.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::SystemTime;

use clap::{ArgAction, ValueEnum};
use serde_json::{Value, json};
use skopeo_index::fetch::FetchId;
use skopeo_index::os::Priority;

use super::bars::Bars;
use crate::cli::exit::ExitStatus;
use crate::cli::output::{self, CliError};
use crate::cli::values::boolean;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ProgressMode {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    /// A line for each index
    Plain,
    /// JSON events on stderr
    Json,
    /// Errors only
    None,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(in crate::cli) struct ProgressArgs {
    /// How progress is shown
    #[arg(
        long,
        value_enum,
        env = "SKOPEO_INDEX_PROGRESS",
        default_value = "auto"
    )]
    progress: ProgressMode,
    /// Print errors only
    #[arg(short, long, env = "SKOPEO_INDEX_QUIET", action = ArgAction::SetTrue, value_parser = boolean)]
    quiet: bool,
}

/// Where progress is shown.
pub(in crate::cli) enum Display {
    Bars(Arc<Bars>),
    Plain,
    Json,
    None,
}

impl ProgressArgs {
    /// Shows the progress of `total` items.
    pub(in crate::cli) fn display(&self, total: usize) -> Display {
        let is_smart = || std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        match self.progress {
            _ if self.quiet => Display::None,
            ProgressMode::Auto if io::stderr().is_terminal() && is_smart() => {
                let bars = Arc::new(Bars::new(total, output::max_rows()));
                output::show(Arc::clone(&bars) as _);
                Display::Bars(bars)
            }
            ProgressMode::Auto | ProgressMode::Plain => Display::Plain,
            ProgressMode::Json => Display::Json,
            ProgressMode::None => Display::None,
        }
    }

    /// Shows why a run failed, where that is an event; the caller shows it elsewhere.
    pub(in crate::cli) fn report(
        self,
        result: Result<ExitStatus, CliError>,
    ) -> Result<ExitStatus, CliError> {
        match (result, self.progress) {
            (Err(error), ProgressMode::Json) if !self.quiet && error.message.is_some() => {
                Display::Json.failed(&error);
                Ok(error.status)
            }
            (result, _) => result,
        }
    }
}

impl Display {
    pub(in crate::cli) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Shows an item and what is done for it.
    pub(in crate::cli) fn began(&self, id: FetchId, name: String, activity: &'static str) {
        if let Self::Bars(bars) = self {
            bars.began(id, name, activity);
        }
    }

    pub(in crate::cli) fn ended(&self, id: FetchId, status: ExitStatus) {
        if let Self::Bars(bars) = self {
            bars.ended(id, status);
        }
    }

    /// Shows something that is not a failure.
    pub(in crate::cli) fn note(&self, text: &str) {
        match self {
            Self::Bars(_) | Self::Plain => output::print_progress(&(timestamp() + text)),
            Self::Json => print_event(Priority::Progress, "note", json!({ "text": text })),
            Self::None => {}
        }
    }

    /// Shows why an item, or the run, failed.
    pub(in crate::cli) fn failed(&self, error: &CliError) {
        let json = json!({ "error": error.message, "hint": error.hint });
        let message = error.message.as_deref().unwrap_or_default();
        self.error(message, error.hint.as_deref(), "error", json);
    }

    pub(super) fn error(&self, message: &str, hint: Option<&str>, event: &str, json: Value) {
        match self {
            Self::Json => print_event(Priority::Message, event, json),
            _ => output::print_stderr(&output::error_text(message, hint)),
        }
    }
}

/// Writes an event, a JSON object, to stderr.
pub(super) fn print_event(priority: Priority, event: &str, mut value: Value) {
    value["event"] = event.into();
    value["time"] = now().into();
    output::print_stderr_json(priority, &value);
}

/// The beginning of a line of progress: a time, except on a terminal.
pub(super) fn timestamp() -> String {
    match io::stderr().is_terminal() {
        true => String::new(),
        false => now() + " ",
    }
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
