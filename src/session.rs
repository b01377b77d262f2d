//! One run: sweep, record its beginning, fetch, record its end, close. The command line
//! and the osbuild service both use it.

use std::num::NonZeroUsize;

use skopeo_index_core::audit::{Labels, SourceInfo};
use skopeo_index_core::escape::json_text;
use skopeo_index_core::machine::FetchPolicy;
use skopeo_index_core::request::Request;
use skopeo_index_core::verifier::Verifiers;

use crate::audit_log::{Identify, LogError, LogWriter, Recorder};
use crate::fetch::{ByteSource, Executor, FetchReport, Observer, Performer};
use crate::os::{absolute, available_descriptors};
use crate::skopeo::identify;

/// What a run needs.
pub struct SessionConfig<'a> {
    /// Performs effects: the cache, and where bytes come from.
    pub performer: Performer<'a>,
    /// The rules of every fetch.
    pub policy: FetchPolicy,
    /// Number of concurrent fetches.
    pub jobs: NonZeroUsize,
    /// Records every transition.
    pub log: Option<&'a LogWriter<'a>>,
    /// What the log calls the run.
    pub labels: &'a Labels,
    /// Shows progress.
    pub display: &'a dyn Observer,
    /// Shows warnings that belong to no fetch.
    pub warn: &'a dyn Fn(&str),
}

/// A run.
pub struct Session<'a> {
    config: SessionConfig<'a>,
    recorder: Option<Recorder<'a>>,
}

impl<'a> Session<'a> {
    /// Removes stale staging directories, and records the beginning of the run.
    ///
    /// # Errors
    /// Where the beginning can't be recorded.
    pub fn begin(mut config: SessionConfig<'a>) -> Result<Self, LogError> {
        let Performer { store, cancel, .. } = config.performer;
        let errors = store
            .sweep()
            .map_or_else(|error| vec![error], |stale| stale.errors);
        for error in errors.iter().filter(|error| !error.is_of_another_user()) {
            (config.warn)(&format!("could not clean up after earlier runs: {error}"));
        }
        config.jobs = config.jobs.min(max_jobs());
        let begin = |log| {
            let (source, skopeo) = match config.performer.source {
                ByteSource::Skopeo(skopeo) => {
                    (SourceInfo::Skopeo(identify(skopeo.runner, cancel)), None)
                }
                ByteSource::Registry(_) => (SourceInfo::Registry, None),
                ByteSource::Auto { skopeo, .. } => (SourceInfo::Auto, Some(skopeo)),
                ByteSource::Cache(cache) => {
                    (SourceInfo::Cache(json_text(absolute(cache.root()))), None)
                }
            };
            let identify_later = skopeo.map(|skopeo| -> Identify<'a> {
                Box::new(move || identify(skopeo.runner, cancel))
            });
            let verifiers = config.performer.verifiers;
            let verifiers = verifiers.map_or_else(Verifiers::default, |it| it.verifiers().clone());
            let (root, policy, labels) = (store.root(), config.policy, config.labels);
            Recorder::begin(log, root, policy, source, labels, identify_later, verifiers)
        };
        let recorder = config.log.map(begin).transpose()?;
        Ok(Self { config, recorder })
    }

    /// Fetches all requests, and reports each in their order.
    pub fn fetch(&self, requests: &[Request], report: impl FnMut(&FetchReport)) {
        // A veto comes before the display shows the transition.
        let mut observers: Vec<&dyn Observer> = Vec::new();
        observers.extend(
            self.recorder
                .as_ref()
                .map(|recorder| recorder as &dyn Observer),
        );
        observers.push(self.config.display);
        let executor = Executor {
            performer: self.config.performer,
            policy: self.config.policy,
            jobs: self.config.jobs,
            observers: &observers,
        };
        executor.run(requests, report);
    }

    /// Fetches all requests, reports each in their order, and records the names of indexes
    /// that are in the cache then.
    pub fn fetch_and_record_names(
        &self,
        requests: &[Request],
        mut report: impl FnMut(&FetchReport),
    ) {
        let (mut rest, mut present) = (requests.iter(), Vec::new());
        self.fetch(requests, |fetched| {
            present.extend(rest.next().filter(|_| fetched.result.is_ok()));
            report(fetched);
        });
        let Performer { store, cancel, .. } = self.config.performer;
        match store.record_names(&present, cancel) {
            Err(error) if !error.is_of_another_user() => {
                (self.config.warn)(&format!("could not record names: {error}"));
            }
            _ => {}
        }
    }

    /// Records the end of the run, and removes its staging directory.
    ///
    /// # Errors
    /// Where the end can't be recorded.
    pub fn end(self) -> Result<(), LogError> {
        let recorded = self.recorder.map_or(Ok(()), Recorder::end);
        if let Err(error) = self.config.performer.store.remove_staging_dir() {
            (self.config.warn)(&error.to_string());
        }
        recorded
    }
}

/// How many fetches the limit of open files has room for.
fn max_jobs() -> NonZeroUsize {
    /// Descriptors of a running command: two pipes with both ends, a pidfd, /dev/null, the
    /// pipe of exec, and an object that is written or read.
    const PER_JOB: usize = 9;
    let jobs = available_descriptors() / PER_JOB;
    NonZeroUsize::new(jobs).unwrap_or(NonZeroUsize::MIN)
}
