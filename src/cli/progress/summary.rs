//! What a run has done.

use indicatif::DecimalBytes;

use skopeo_index::fetch::{FetchId, FetchReport};
use skopeo_index_core::machine::{CancelReason, Cause, EffectError, Provenance};
use skopeo_index_core::request::Request;

/// The sum of a run's fetches; one that was asked for twice is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    pub(super) fetched: usize,
    pub(super) cached: usize,
    pub(super) failed: usize,
    pub(super) bytes: u64,
    pub(super) stopped: Option<Stopped>,
}

/// The fetches that ended with the run, before their own end.
#[derive(Clone, Debug)]
pub(super) struct Stopped {
    pub(super) why: CancelReason,
    pub(super) count: usize,
    /// By the order of the request.
    pub(super) first: (FetchId, Request),
}

impl Summary {
    /// Adds a report.
    pub(super) fn count(&mut self, of: FetchId, report: &FetchReport) {
        match &report.result {
            Err(failure) => {
                self.failed += 1;
                if let Some(why) = stop_of(&failure.cause) {
                    self.stop(why, of, &report.request);
                }
            }
            Ok(committed) if *committed.provenance() == Provenance::Hit => self.cached += 1,
            Ok(committed) => {
                self.fetched += 1;
                self.bytes += committed.size();
            }
        }
    }

    /// How many have ended.
    pub(super) const fn done(&self) -> usize {
        self.fetched + self.cached + self.failed
    }

    fn stop(&mut self, why: CancelReason, of: FetchId, request: &Request) {
        let stopped = self.stopped.get_or_insert_with(|| Stopped {
            why,
            count: 0,
            first: (of, request.clone()),
        });
        stopped.count += 1;
        if of < stopped.first.0 {
            stopped.first = (of, request.clone());
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            fetched,
            cached,
            failed,
            bytes,
            ..
        } = self;
        let bytes = DecimalBytes(*bytes);
        write!(
            f,
            "{fetched} fetched, {cached} cached, {failed} failed; {bytes}"
        )
    }
}

/// Why the run was stopped, where that ended a fetch.
pub(super) const fn stop_of(cause: &Cause) -> Option<CancelReason> {
    match cause {
        Cause::EffectFailed {
            trouble: EffectError::Cancelled { why },
        } => Some(*why),
        _ => None,
    }
}
