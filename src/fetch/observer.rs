//! What observers see of a run's fetches.

use std::time::Duration;

use skopeo_index_core::machine::{Committed, EffectError, Event, Failed, ManifestBytes};
use skopeo_index_core::request::Request;

use super::{EngineUse, Trace};

/// Observes every fetch, from many threads at once. The audit log may veto a transition;
/// progress displays only watch.
pub trait Observer: Sync {
    /// A fetch begins.
    fn began(&self, _id: FetchId, _request: &Request) {}

    /// A transition was made. It is acted on once this returns.
    ///
    /// # Errors
    /// [`Veto`] ends the fetch: what can't be recorded isn't done.
    fn transition(
        &self,
        _id: FetchId,
        _request: &Request,
        _transition: &Transition,
    ) -> Result<(), Veto> {
        Ok(())
    }

    /// Transitions of several fetches were made, none of which is acted on before this
    /// returns: one sync can cover them all. Returns a result for each, in their order.
    fn transitions(&self, batch: &[&FetchTransition<'_>]) -> Vec<Result<(), Veto>> {
        let each = batch.iter();
        each.map(|made| self.transition(made.id, made.request, &made.transition))
            .collect()
    }

    /// A fetch has ended.
    fn ended(&self, _id: FetchId, _report: &FetchReport) {}
}

/// A fetch of a run: the position of its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub usize);

/// A transition, and how it came about.
#[derive(Debug)]
pub struct Transition {
    /// The transition.
    pub event: Event,
    /// How its effect was performed.
    pub trace: Trace,
}

/// A transition of one of several fetches.
#[derive(Debug)]
pub struct FetchTransition<'r> {
    /// The fetch.
    pub id: FetchId,
    /// Its request.
    pub request: &'r Request,
    /// Its transition.
    pub transition: Transition,
}

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Veto(pub EffectError);

/// How a fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReport {
    /// The request.
    pub request: Request,
    /// Duration of the fetch.
    pub took: Duration,
    /// The engine that fetched last, if one did.
    pub engine: Option<EngineUse>,
    /// The object in the cache, or why it isn't there.
    pub result: Result<Committed<ManifestBytes>, Failed>,
}
