//! One bar for the whole, one line for each running fetch: the bar first, since
//! what has no room on the terminal is left out at the end.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use skopeo_index::fetch::FetchId;
use skopeo_index_core::machine::State;
use skopeo_index_core::request::Request;

/// How often spinners turn and the time goes on.
const TICK: Duration = Duration::from_millis(120);

pub(super) struct Bars {
    all: MultiProgress,
    whole: ProgressBar,
    running: Mutex<HashMap<FetchId, ProgressBar>>,
}

impl Bars {
    pub(super) fn new(total: usize) -> Self {
        let all = MultiProgress::new();
        let whole = all.add(ProgressBar::new(total as u64));
        whole.set_style(style("{bar:30} {pos}/{len}  {elapsed}"));
        whole.enable_steady_tick(TICK);
        Self {
            all,
            whole,
            running: Mutex::default(),
        }
    }

    pub(super) fn began(&self, of: FetchId, request: &Request) {
        let line = self.all.add(ProgressBar::new_spinner());
        // A line has one row, however wide the terminal is.
        line.set_style(style("{spinner} {prefix:10} {wide_msg}"));
        line.set_message(request.to_string());
        line.enable_steady_tick(TICK);
        self.running().insert(of, line);
    }

    pub(super) fn moved(&self, of: FetchId, to: State) {
        if let Some(line) = self.running().get(&of) {
            line.set_prefix(to.to_string());
        }
    }

    pub(super) fn ended(&self, of: FetchId, done: usize) {
        if let Some(line) = self.running().remove(&of) {
            line.finish_and_clear();
        }
        self.whole.set_position(done as u64);
    }

    /// A line above the bars.
    pub(super) fn line(&self, text: &str) {
        self.all.suspend(|| super::output::print_stderr(text));
    }

    pub(super) fn finish(&self, text: &str) {
        self.whole.finish_and_clear();
        self.line(text);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<FetchId, ProgressBar>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The templates are the ones above, and right.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
