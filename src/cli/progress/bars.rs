//! Bars on a terminal: one for the run, one line for each running fetch. The run's bar
//! comes first, since indicatif drops lines from the end where the terminal is too small.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use skopeo_index::fetch::FetchId;
use skopeo_index_core::machine::State;
use skopeo_index_core::request::Request;

use crate::cli::output::print_stderr;

/// How often spinners and the elapsed time are redrawn.
const TICK: Duration = Duration::from_millis(120);

pub(super) struct Bars {
    all: MultiProgress,
    run: ProgressBar,
    running: Mutex<HashMap<FetchId, ProgressBar>>,
}

impl Bars {
    pub(super) fn new(total: usize) -> Self {
        let all = MultiProgress::new();
        let run = all.add(ProgressBar::new(total as u64));
        run.set_style(style("{bar:30} {pos}/{len}  {elapsed}"));
        run.enable_steady_tick(TICK);
        Self {
            all,
            run,
            running: Mutex::default(),
        }
    }

    pub(super) fn began(&self, id: FetchId, request: &Request) {
        let line = self.all.add(ProgressBar::new_spinner());
        // `wide_msg` keeps a line on one row of the terminal.
        line.set_style(style("{spinner} {prefix:10} {wide_msg}"));
        line.set_message(request.to_string());
        line.enable_steady_tick(TICK);
        self.running().insert(id, line);
    }

    pub(super) fn moved(&self, id: FetchId, to: State) {
        if let Some(line) = self.running().get(&id) {
            line.set_prefix(to.to_string());
        }
    }

    pub(super) fn ended(&self, id: FetchId, done: usize) {
        if let Some(line) = self.running().remove(&id) {
            line.finish_and_clear();
        }
        self.run.set_position(done as u64);
    }

    /// Prints a line above the bars.
    pub(super) fn line(&self, text: &str) {
        self.all.suspend(|| print_stderr(text));
    }

    pub(super) fn finish(&self, text: &str) {
        self.run.finish_and_clear();
        self.line(text);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<FetchId, ProgressBar>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The templates above are valid.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
