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

use skopeo_index_core::machine::{
    CacheEntry, Classification, Content, EffectError, ManifestBytes, Outcome,
};

use super::executor::{Group, conclude, step, unrecorded};
use super::{Executor, FetchId, FetchReport, FetchTransition, Performer, Trace, Transition, Veto};
use crate::os::{available_descriptors, for_each_in_parallel};
use crate::store::OpenFile;

/// Bytes in memory from which on a batch is complete; the last object, of 4 MiB at most,
/// comes on top.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Maximum number of open files of a batch: a sync costs little for each of so many.
const MAX_BATCH_FILES: usize = 2048;

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
    ) -> Vec<&'g Group<'r>> {
        if self.performer.verifiers.is_some() {
            // A hit isn't committed before each has approved it.
            return groups.iter().collect();
        }
        let max_files = available_descriptors().clamp(1, MAX_BATCH_FILES);
        let mut misses = Vec::new();
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
            // Without their bytes, which would wait in memory.
            misses.extend(others.into_iter().map(|object| object.group));
            self.report_batch(hits, &mut deliver);
        };
        for group in groups {
            match self.read(group) {
                Some(object) => {
                    bytes += object.content.as_slice().len();
                    batch.push(object);
                }
                None => misses.push(group),
            }
            if batch.len() >= max_files || bytes >= MAX_BATCH_BYTES {
                report(&mut batch, &mut misses);
                bytes = 0;
            }
        }
        report(&mut batch, &mut misses);
        misses.sort_by_key(|group| group[0].1[0]);
        misses
    }

    /// Reads a group's object, if there is one that can be read.
    fn read<'g, 'r>(&self, group: &'g Group<'r>) -> Option<Object<'g, 'r>> {
        let started = Instant::now();
        self.performer.cancel.check().ok()?;
        let read = self.performer.store.open(group[0].0.digest()).ok()?;
        match read.entry {
            CacheEntry::File { content } => Some(Object {
                group,
                content,
                file: read.file,
                started,
            }),
            _ => None,
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
                match step(self.begin(id, request), outcome) {
                    Ok((fetch, event)) => {
                        ended.push((fetch, hit.started, positions));
                        let trace = Trace::default();
                        made.push(FetchTransition {
                            id,
                            request,
                            transition: Transition { event, trace },
                        });
                    }
                    Err(failed) => {
                        let report = self.end(id, request, hit.started, None, Err(failed));
                        deliver(positions, report);
                    }
                }
            }
        }
        let vetoes = self.record_all(&made);
        for ((ended, made), veto) in ended.into_iter().zip(&made).zip(vetoes) {
            let (fetch, started, positions) = ended;
            let result = conclude(fetch, veto);
            deliver(
                positions,
                self.end(made.id, made.request, started, None, result),
            );
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
