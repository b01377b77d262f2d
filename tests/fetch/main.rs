//! Fetches with stand-ins for skopeo: many at once, retried, cancelled, recorded.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

mod another_cache;
mod cancellation;
mod duplicates;
mod hits;
mod ordering;
mod recording;
mod resolve;
mod retry;
mod session;
mod skopeo_copy;

use skopeo_index::fetch::FetchReport;
use skopeo_index_core::machine::{CancelReason, Cause, EffectError, FailureKind};

/// Why the fetch failed.
#[track_caller]
fn cause(report: &FetchReport) -> &Cause {
    report.result.as_ref().expect_err("a failure").cause()
}

/// The kind of a failure that wasn't retried.
#[track_caller]
fn failure_kind(cause: &Cause) -> FailureKind {
    match cause {
        Cause::EffectFailed {
            error: EffectError::Command { kind, .. },
        } => *kind,
        other => panic!("{other}"),
    }
}

fn cancelled(reason: CancelReason) -> Cause {
    Cause::EffectFailed {
        error: EffectError::Cancelled { reason },
    }
}
