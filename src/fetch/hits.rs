//! Looks up every digest of a run, and reports the hits in batches.
//!
//! ```text
//!  groups ─▶ read ─▶ hash, parse ─▶ one sync of the batch ─▶ records, one sync ─▶ reports
//!              └─ misses ─┘
//! ```
//!
//! A hit's outcome is given to the machine once its bytes are durable: no `Committed` is
//! recorded or reported before. A failed sync fails every hit of its batch.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use rustix::process::{Resource, getrlimit};
use skopeo_index_core::machine::{
    CacheEntry, Classification, Committed, Content, EffectError, Failed, ManifestBytes, Outcome,
};
use skopeo_index_core::request::Request;

use super::executor::{Group, Miss, conclude, step, unrecorded};
use super::{Executor, FetchId, FetchReport, FetchTransition, Performer, Trace, Transition, Veto};
use crate::os::for_each_in_parallel;
use crate::store::{OpenFile, ReadFile};

/// Bytes in memory from which on a batch is complete; the last object, of 4 MiB at most,
/// comes on top.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Maximum number of open files of a batch: a sync costs little for each of so many.
const MAX_BATCH_FILES: usize = 2048;

/// Descriptors left to the rest of the process.
const RESERVED_DESCRIPTORS: u64 = 24;

/// Threads that hash and parse; the limit of bytes holds for all together.
const HASH_THREADS: usize = 4;

/// The least number of objects for which a thread is started: hashing so many takes ten
/// times as long as starting it.
const MIN_OBJECTS_PER_THREAD: usize = 128;

/// An object that was read.
struct Object<'g, 'r> {
    group: &'g Group<'r>,
    content: ManifestBytes,
    file: Option<OpenFile>,
    started: Instant,
}

impl Object<'_, '_> {
    fn is_intact(&self) -> bool {
        let info = self.content.info();
        let is_index = matches!(info.classification, Classification::Index(_));
        is_index && info.digest == self.group[0].0.digest()
    }
}

impl Executor<'_> {
    /// Looks up each group, reports the hits and returns the misses.
    pub(super) fn report_hits<'g, 'r>(
        &self,
        groups: &'g [Group<'r>],
        mut deliver: impl FnMut(&'g [usize], Arc<FetchReport>),
    ) -> Vec<Miss<'g, 'r>> {
        if self.performer.verifiers.is_some() {
            // A hit isn't committed before each has approved it.
            let miss = |group| Miss {
                group,
                looked_up: None,
            };
            return groups.iter().map(miss).collect();
        }
        let (mut misses, max_files) = (Vec::new(), max_batch_files());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut report = |batch: &mut Vec<Object<'g, 'r>>, misses: &mut Vec<_>| {
            let is_hit = |object: &Object<'_, '_>| {
                self.performer.cancel.cancelled().is_none() && object.is_intact()
            };
            // Hashed and parsed once.
            let Ok(()) =
                for_each_in_parallel(batch, HASH_THREADS, MIN_OBJECTS_PER_THREAD, |object| {
                    is_hit(object);
                    Ok::<_, Infallible>(())
                });
            let (hits, others): (Vec<_>, Vec<_>) = batch.drain(..).partition(is_hit);
            // Their bytes would wait in memory.
            misses.extend(others.into_iter().map(|Object { group, .. }| Miss {
                group,
                looked_up: None,
            }));
            self.report_batch(hits, &mut deliver);
        };
        for group in groups {
            match self.read(group) {
                Ok(object) => {
                    bytes += object.content.as_slice().len();
                    batch.push(object);
                }
                Err(outcome) => misses.push(Miss {
                    group,
                    looked_up: Some(outcome),
                }),
            }
            if batch.len() >= max_files || bytes >= MAX_BATCH_BYTES {
                report(&mut batch, &mut misses);
                bytes = 0;
            }
        }
        report(&mut batch, &mut misses);
        misses.sort_by_key(|miss| miss.group[0].1[0]);
        misses
    }

    /// Reads a group's object; otherwise returns the outcome of its look-up.
    fn read<'g, 'r>(&self, group: &'g Group<'r>) -> Result<Object<'g, 'r>, Outcome<ManifestBytes>> {
        let (digest, started) = (group[0].0.digest(), Instant::now());
        if let Some(reason) = self.performer.cancel.cancelled() {
            let error = EffectError::Cancelled { reason };
            return Err(Outcome::Failed { error });
        }
        let read = self.performer.store.open(digest);
        let ReadFile { entry, file } = read.map_err(|error| Outcome::Failed {
            error: error.into(),
        })?;
        match entry {
            CacheEntry::File { content } => Ok(Object {
                group,
                content,
                file,
                started,
            }),
            entry => Err(Outcome::LookedUp { entry }),
        }
    }

    /// Makes intact objects durable, records the ends of their fetches and reports them.
    fn report_batch<'g>(
        &self,
        mut hits: Vec<Object<'g, '_>>,
        mut deliver: impl FnMut(&'g [usize], Arc<FetchReport>),
    ) {
        if hits.is_empty() {
            return;
        }
        let files: Vec<_> = hits.iter_mut().filter_map(|hit| hit.file.take()).collect();
        let Performer { store, cancel, .. } = self.performer;
        let synced = store.sync_objects(&files, cancel);
        let synced = synced.map_err(EffectError::from);
        drop(files);
        let (mut ended, mut made) = (Vec::new(), Vec::new());
        for hit in hits {
            for (request, positions) in hit.group {
                let id = FetchId(positions[0]);
                for observer in self.observers {
                    observer.began(id, request);
                }
                let outcome = match &synced {
                    Ok(()) => Outcome::LookedUp {
                        entry: CacheEntry::File {
                            content: hit.content.clone(),
                        },
                    },
                    Err(error) => Outcome::Failed {
                        error: error.clone(),
                    },
                };
                let (fetch, stepped) = step(self.begin(request), outcome);
                match stepped {
                    Ok(event) => {
                        ended.push((fetch, hit.started, positions));
                        let trace = Trace::default();
                        made.push(FetchTransition {
                            id,
                            request,
                            transition: Transition { event, trace },
                        });
                    }
                    Err(error) => {
                        let result = conclude(fetch, Some(error));
                        let report = hit_report(request, hit.started, result);
                        deliver(positions, Arc::new(self.end(id, report)));
                    }
                }
            }
        }
        let failures = self.record_all(&made);
        for ((ended, made), failure) in ended.into_iter().zip(&made).zip(failures) {
            let (fetch, started, positions) = ended;
            let result = conclude(fetch, failure);
            let report = hit_report(made.request, started, result);
            deliver(positions, Arc::new(self.end(made.id, report)));
        }
    }

    /// Calls the observers with transitions of different fetches; returns the first veto of
    /// each. An observer doesn't see what one before it has vetoed.
    fn record_all(&self, made: &[FetchTransition<'_>]) -> Vec<Option<EffectError>> {
        let mut vetoes = vec![None; made.len()];
        for observer in self.observers {
            let mut open: Vec<_> = vetoes.iter_mut().zip(made).collect();
            open.retain(|(veto, _)| veto.is_none());
            let batch: Vec<_> = open.iter().map(|(_, made)| *made).collect();
            let mut results = observer.transitions(&batch).into_iter();
            for (veto, _) in open {
                // Without a result it is not known to be recorded.
                let result = results.next().unwrap_or_else(|| Err(Veto(unrecorded())));
                *veto = result.err().map(|Veto(error)| error);
            }
        }
        vetoes
    }
}

/// The report of a fetch that began at `started`, and needed no engine.
fn hit_report(
    request: &Request,
    started: Instant,
    result: Result<Committed<ManifestBytes>, Failed>,
) -> FetchReport {
    FetchReport {
        request: request.clone(),
        took: started.elapsed(),
        engine: None,
        result,
    }
}

/// How many files of a batch the limit of open files has room for.
fn max_batch_files() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(limit.saturating_sub(RESERVED_DESCRIPTORS));
    files.unwrap_or(usize::MAX).clamp(1, MAX_BATCH_FILES)
}
