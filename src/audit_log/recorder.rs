//! Writes the records of one run.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use skopeo_index_core::audit::{
    Entry, Labels, RunId, RunInfo, SkopeoIdentity, SourceInfo, TransitionRecord,
};
use skopeo_index_core::escape::json_text;
use skopeo_index_core::machine::{Cause, EffectError, Event, FetchPolicy, State};
use skopeo_index_core::request::Request;
use skopeo_index_core::verifier::Verifiers;

use super::{LogError, LogWriter, invocation};
use crate::fetch::{FetchId, FetchReport, FetchTransition, Observer, Transition, Veto};
use crate::os::{Host, PathContext, random_bytes};

/// Writes the records of one run.
pub struct Recorder<'l> {
    log: &'l LogWriter<'l>,
    run: RunId,
    committed: AtomicU64,
    failed: AtomicU64,
    /// Fetches with a record that could not be written: no later record of them is
    /// written either.
    unrecorded: Mutex<HashSet<FetchId>>,
    /// Identifies skopeo before its first command; `None` once that is recorded.
    identify: Mutex<Option<Identify<'l>>>,
}

/// Identifies skopeo. It takes as long as a fetch, so it is done where skopeo is used.
pub type Identify<'l> = Box<dyn FnOnce() -> SkopeoIdentity + Send + 'l>;

impl<'l> Recorder<'l> {
    /// Begins a run. `identify` is for a source that may use skopeo.
    ///
    /// # Errors
    /// Where its record can't be written, or that of a verifier could not be.
    pub fn begin(
        log: &'l LogWriter<'l>,
        cache: &Path,
        policy: FetchPolicy,
        source: SourceInfo,
        labels: &Labels,
        identify: Option<Identify<'l>>,
        verifiers: Verifiers,
    ) -> Result<Self, LogError> {
        let random = random_bytes().context("begin a run of", cache)?;
        let run = RunId::from_random(random);
        let cache = std::path::absolute(cache).context("begin a run of", cache)?;
        let info = RunInfo {
            cache: json_text(cache),
            invocation: invocation(&Host::from_process(), labels),
            policy,
            source,
            verifiers,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        info.check_verifier_arguments()
            .map_err(|error| LogError::LongVerifier {
                path: log.current().path.clone(),
                error,
            })?;
        log.append(run, Entry::Run(info))?;
        Ok(Self {
            log,
            run,
            committed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unrecorded: Mutex::default(),
            identify: Mutex::new(identify),
        })
    }

    /// Ends the run, and makes all of its records durable.
    ///
    /// # Errors
    /// Where the record can't be written or synced.
    pub fn end(self) -> Result<(), LogError> {
        let unrecorded = self.unrecorded().len() as u64;
        let end = Entry::End {
            committed: self.committed.into_inner(),
            failed: self.failed.into_inner(),
            unrecorded,
        };
        self.log.append(self.run, end)?;
        self.log.sync()
    }

    /// Records which skopeo the run uses, once.
    fn record_identity(&self) -> Result<(), LogError> {
        let mut identify = self.identify.lock().unwrap_or_else(PoisonError::into_inner);
        match identify.take() {
            Some(identify) => self.log.append(self.run, Entry::Skopeo(identify())),
            None => Ok(()),
        }
    }

    /// Appends the record of a transition; returns whether it must be made durable.
    fn append(
        &self,
        id: FetchId,
        request: &Request,
        transition: &Transition,
    ) -> Result<bool, Veto> {
        if self.unrecorded().contains(&id) {
            return Err(Veto(EffectError::AuditLog {
                error: "an earlier record is missing".to_owned(),
            }));
        }
        let entry = Entry::Transition(TransitionRecord {
            command: transition.trace.command.clone(),
            event: transition.event.clone(),
            fetch: id.0 as u64,
            registry: transition.trace.exchange.clone(),
            request: request.clone(),
            verifier: transition.trace.verifier.clone().map(Box::new),
        });
        let identified = match transition.trace.command {
            Some(_) => self.record_identity(),
            None => Ok(()),
        };
        let recorded = identified.and_then(|()| self.log.append(self.run, entry));
        match recorded {
            Ok(()) => Ok(requires_sync(&transition.event)),
            Err(error) => {
                self.unrecorded().insert(id);
                Err(Veto(error.into()))
            }
        }
    }

    /// Makes all appended records durable. One that can't be synced stays in the log, and
    /// so do later ones.
    fn sync(&self) -> Result<(), EffectError> {
        self.log.sync().map_err(EffectError::from)
    }

    fn unrecorded(&self) -> MutexGuard<'_, HashSet<FetchId>> {
        self.unrecorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder<'_> {
    fn transition(
        &self,
        id: FetchId,
        request: &Request,
        transition: &Transition,
    ) -> Result<(), Veto> {
        if self.append(id, request, transition)? {
            self.sync().map_err(Veto)?;
        }
        Ok(())
    }

    fn transitions(&self, batch: &[&FetchTransition<'_>]) -> Vec<Result<(), Veto>> {
        let batch = batch.iter();
        let appended = batch.map(|made| self.append(made.id, made.request, &made.transition));
        let appended: Vec<_> = appended.collect();
        let synced = match appended.iter().any(|appended| matches!(appended, Ok(true))) {
            true => self.sync(),
            false => Ok(()),
        };
        let check = |appended: Result<bool, Veto>| match appended? {
            true => synced.clone().map_err(Veto),
            false => Ok(()),
        };
        appended.into_iter().map(check).collect()
    }

    fn ended(&self, _: FetchId, report: &FetchReport) {
        let count = if report.result.is_ok() {
            &self.committed
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether the record must be fsynced before the executor acts on the event. Records of
/// cancelled fetches are exempt: the run's `end` record syncs them all at once.
#[must_use]
pub const fn requires_sync(event: &Event) -> bool {
    let cancelled = matches!(
        event.cause,
        Some(Cause::EffectFailed {
            error: EffectError::Cancelled { .. }
        })
    );
    match event.to {
        State::Verified | State::Authenticated | State::Committed => true,
        State::Failed => !cancelled,
        State::Pending | State::Staged | State::Copied | State::Inspected => false,
    }
}
