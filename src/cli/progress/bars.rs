//! Rows on a terminal: one for the run, one for each running fetch.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use skopeo_index::fetch::FetchId;
use skopeo_index::os::Rows;

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
    /// State and name of each running fetch.
    running: BTreeMap<FetchId, (String, String)>,
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

    pub(super) fn began(&self, id: FetchId, name: String, state: String) {
        self.state().running.insert(id, (state, name));
    }

    pub(super) fn moved(&self, id: FetchId, to: String) {
        if let Some((state, _)) = self.state().running.get_mut(&id) {
            *state = to;
        }
    }

    pub(super) fn ended(&self, id: FetchId, failed: bool) {
        let mut state = self.state();
        state.running.remove(&id);
        state.done += 1;
        state.failed += usize::from(failed);
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
        let row = |(state, name): &(String, String)| row(state, name, width);
        std::iter::once(head).chain(running.map(row)).collect()
    }
}

/// A state, and the end of a name: there it differs from others.
fn row(state: &str, name: &str, width: usize) -> String {
    // A character of one column for each.
    let ascii = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    let name: Vec<char> = name.chars().map(ascii).collect();
    let room = width.saturating_sub(10);
    let cut = name.len().saturating_sub(room);
    let end = name[cut..].iter().skip(usize::from(cut > 0));
    let mark = if cut > 0 { "…" } else { "" };
    let row = format!("{state:9} {mark}{}", end.collect::<String>());
    row.chars().take(width).collect()
}
