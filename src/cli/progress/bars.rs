//! Rows on a terminal: one for the run, one for each running fetch.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use skopeo_index::fetch::FetchId;
use skopeo_index::os::Rows;
use skopeo_index::verifier::VerifierRunner;
use skopeo_index_core::machine::State;

use crate::cli::exit::ExitStatus;

/// Maximum number of running fetches that are shown.
const MAX_RUNNING: usize = 8;

/// Maximum width of a row. A path of an object is longer, so that one which another
/// program prints over a row (`| cat`) covers it.
const MAX_WIDTH: usize = 72;

/// Width of the bar, if there is room.
const BAR_WIDTH: usize = 30;

/// What is shown of a run.
pub(in crate::cli) struct Bars {
    total: usize,
    max_rows: usize,
    started: Instant,
    state: Mutex<BarsState>,
}

#[derive(Default)]
struct BarsState {
    /// Activity and name of each running fetch.
    running: BTreeMap<FetchId, (&'static str, String)>,
    done: usize,
    failed: usize,
}

impl Bars {
    pub(super) fn new(total: usize, max_rows: usize) -> Self {
        Self {
            total,
            max_rows,
            started: Instant::now(),
            state: Mutex::default(),
        }
    }

    pub(super) fn began(&self, id: FetchId, name: String, activity: &'static str) {
        self.state().running.insert(id, (activity, name));
    }

    pub(super) fn moved(&self, id: FetchId, to: &'static str) {
        if let Some((activity, _)) = self.state().running.get_mut(&id) {
            *activity = to;
        }
    }

    pub(super) fn ended(&self, id: FetchId, status: ExitStatus) {
        let mut state = self.state();
        state.running.remove(&id);
        state.done += usize::from(!status.is_cancelled());
        state.failed += usize::from(!status.is_cancelled() && status != ExitStatus::Success);
    }

    fn state(&self) -> MutexGuard<'_, BarsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows for Bars {
    fn rows(&self, columns: usize, lines: usize) -> Vec<String> {
        let (state, total) = (self.state(), self.total);
        // The last column stays free: a terminal may wrap behind it.
        let width = columns.saturating_sub(1).min(MAX_WIDTH);
        let seconds = self.started.elapsed().as_secs();
        let failed = match state.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let (done, minutes, seconds) = (state.done, seconds / 60, seconds % 60);
        let text = format!(" {done}/{total}{failed}  {minutes}:{seconds:02}");
        let bar = width.saturating_sub(text.len()).min(BAR_WIDTH);
        let full = bar * done.min(total) / total.max(1);
        let bar = "█".repeat(full) + &"░".repeat(bar - full);
        let head = bar + &text[..text.len().min(width)];
        let running = state.running.values();
        let max = MAX_RUNNING
            .min(self.max_rows - 1)
            .min(lines.saturating_sub(2));
        let running = running.take(max);
        let row = |(activity, name): &(&str, String)| row(activity, name, width);
        std::iter::once(head).chain(running.map(row)).collect()
    }
}

/// What a fetch does in a state.
pub(super) fn activity(state: State, verifiers: Option<&dyn VerifierRunner>) -> &'static str {
    match state {
        State::Pending => "starting",
        State::Staged => "fetching",
        State::Copied | State::Inspected => "checking",
        State::Verified if verifiers.is_some() => "verifying",
        State::Verified | State::Authenticated | State::Committed => "storing",
        State::Failed => "failing",
    }
}

/// An activity, and the end of a name: there it differs from others.
fn row(activity: &str, name: &str, width: usize) -> String {
    // A character of one column for each.
    let shown = |c: char| {
        if matches!(c, ' '..='~' | '…') {
            c
        } else {
            '?'
        }
    };
    let name: Vec<char> = name.chars().map(shown).collect();
    let room = width.saturating_sub(10);
    let cut = name.len().saturating_sub(room);
    let end = name[cut..].iter().skip(usize::from(cut > 0));
    let mark = if cut > 0 { "…" } else { "" };
    let row = format!("{activity:9} {mark}{}", end.collect::<String>());
    row.chars().take(width).collect()
}
