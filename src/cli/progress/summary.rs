//! Summary of a run.

use skopeo_index::fetch::{FetchId, FetchReport};
use skopeo_index::units::DecimalBytes;
use skopeo_index_core::machine::{CancelReason, Cause, EffectError, Provenance};
use skopeo_index_core::request::Request;

/// Counts of a run's fetches; duplicates of a request count once.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct RunSummary {
    pub(super) fetched: usize,
    pub(super) cached: usize,
    /// Without those that were cancelled.
    pub(super) failed: usize,
    pub(super) bytes: u64,
    pub(super) cancelled: Option<Cancelled>,
}

/// Fetches that were cancelled with the run.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Cancelled {
    pub(super) reason: CancelReason,
    pub(super) count: usize,
    /// The first in the order of the request.
    pub(super) first: (FetchId, Request),
}

impl RunSummary {
    pub(super) fn count(&mut self, id: FetchId, report: &FetchReport) {
        match &report.result {
            Err(failed) => match cancel_reason(failed.cause()) {
                Some(reason) => self.cancel(reason, id, &report.request),
                None => self.failed += 1,
            },
            Ok(committed) if *committed.provenance() == Provenance::Hit => self.cached += 1,
            Ok(committed) => {
                self.fetched += 1;
                self.bytes += committed.size();
            }
        }
    }

    /// The number of fetches that have ended, without those that were cancelled.
    pub(super) const fn done(&self) -> usize {
        self.fetched + self.cached + self.failed
    }

    /// The number of fetches that were cancelled.
    pub(super) fn not_fetched(&self) -> usize {
        self.cancelled
            .as_ref()
            .map_or(0, |cancelled| cancelled.count)
    }

    fn cancel(&mut self, reason: CancelReason, id: FetchId, request: &Request) {
        let cancelled = self.cancelled.get_or_insert_with(|| Cancelled {
            reason,
            count: 0,
            first: (id, request.clone()),
        });
        cancelled.count += 1;
        if id < cancelled.first.0 {
            cancelled.first = (id, request.clone());
        }
    }
}

impl std::fmt::Display for RunSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (fetched, cached, failed) = (self.fetched, self.cached, self.failed);
        write!(f, "{fetched} fetched, {cached} cached, {failed} failed")?;
        if self.cancelled.is_some() {
            write!(f, ", {} not fetched", self.not_fetched())?;
        }
        write!(f, "; {}", DecimalBytes(self.bytes))
    }
}

/// Why the run was cancelled, where that ended a fetch.
pub(super) const fn cancel_reason(cause: &Cause) -> Option<CancelReason> {
    match cause {
        Cause::EffectFailed {
            error: EffectError::Cancelled { reason },
        } => Some(*reason),
        _ => None,
    }
}
