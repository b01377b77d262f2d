//! Looks up every digest of a run, and reports the hits in batches.
//!
//! ```text
//!  groups ─▶ read, hash, parse ─▶ one sync of the batch ─▶ records, one sync ─▶ reports
//!              └─ misses
//! ```
//!
//! A hit's outcome is given to the machine once its bytes are durable: no `Committed` is
//! recorded or reported before. A failed sync fails every hit of its batch.

use std::sync::Arc;
use std::time::Instant;

use rustix::process::{Resource, getrlimit};
use skopeo_index_core::machine::{CacheEntry, EffectError, ManifestBytes, ObjectStatus, Outcome};

use super::executor::{Group, Miss, conclude, step};
use super::{Executor, FetchId, FetchReport, FetchTransition, Transition, Veto};
use crate::store::OpenFile;

/// Bytes in memory from which on a batch is complete; the last object, of 4 MiB at most,
/// comes on top.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Maximum number of open files of a batch: a sync costs little for each of so many.
const MAX_BATCH_FILES: usize = 1024;

/// Descriptors left to the rest of the process.
const RESERVED_DESCRIPTORS: u64 = 64;

/// An intact object that is not known to be durable.
struct Hit<'g, 'r> {
    group: &'g Group<'r>,
    content: ManifestBytes,
    started: Instant,
}

/// Hits that share a sync.
#[derive(Default)]
struct Batch<'g, 'r> {
    hits: Vec<Hit<'g, 'r>>,
    files: Vec<OpenFile>,
    bytes: usize,
}

impl Executor<'_> {
    /// Looks up each group, reports the hits and returns the misses.
    pub(super) fn report_hits<'g, 'r>(
        &self,
        groups: &'g [Group<'r>],
        mut deliver: impl FnMut(&'g [usize], Arc<FetchReport>),
    ) -> Vec<Miss<'g, 'r>> {
        let (mut misses, max_files) = (Vec::new(), max_batch_files());
        let mut batch = Batch::default();
        for group in groups {
            match self.look_up(group) {
                Ok((hit, file)) => {
                    batch.bytes += hit.content.as_slice().len();
                    batch.hits.push(hit);
                    batch.files.extend(file);
                }
                Err(looked_up) => misses.push(Miss { group, looked_up }),
            }
            if batch.files.len() >= max_files || batch.bytes >= MAX_BATCH_BYTES {
                self.report_batch(std::mem::take(&mut batch), &mut deliver);
            }
        }
        self.report_batch(batch, &mut deliver);
        misses
    }

    /// Reads a group's object. What is not a hit is an outcome, unless it has bytes, which
    /// would wait in memory.
    fn look_up<'g, 'r>(
        &self,
        group: &'g Group<'r>,
    ) -> Result<(Hit<'g, 'r>, Option<OpenFile>), Option<Outcome<ManifestBytes>>> {
        let (digest, started) = (group[0].0.digest(), Instant::now());
        if let Some(reason) = self.performer.cancel.cancelled() {
            let error = EffectError::Cancelled { reason };
            return Err(Some(Outcome::Failed { error }));
        }
        let read = self.performer.store.open(digest);
        let read = read.map_err(|error| Outcome::Failed {
            error: error.into(),
        })?;
        let is_intact = matches!(read.entry.status(digest), ObjectStatus::Intact { .. });
        match read.entry {
            CacheEntry::File { content } if is_intact => {
                let hit = Hit {
                    group,
                    content,
                    started,
                };
                Ok((hit, read.file))
            }
            CacheEntry::File { .. } => Err(None),
            entry => Err(Some(Outcome::LookedUp { entry })),
        }
    }

    /// Makes a batch durable, records its ends and reports them.
    fn report_batch<'g>(
        &self,
        batch: Batch<'g, '_>,
        mut deliver: impl FnMut(&'g [usize], Arc<FetchReport>),
    ) {
        if batch.hits.is_empty() {
            return;
        }
        let synced = self.performer.store.sync_objects(&batch.files);
        let synced = synced.map_err(EffectError::from);
        drop(batch.files);
        let (mut ended, mut made) = (Vec::new(), Vec::new());
        for hit in batch.hits {
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
                        let command = None;
                        made.push(FetchTransition {
                            id,
                            request,
                            transition: Transition { event, command },
                        });
                    }
                    Err(error) => {
                        let result = conclude(fetch, Some(error));
                        let report = self.end(id, request, hit.started, result);
                        deliver(positions, Arc::new(report));
                    }
                }
            }
        }
        let failures = self.record_all(&made);
        for ((ended, made), failure) in ended.into_iter().zip(&made).zip(failures) {
            let (fetch, started, positions) = ended;
            let result = conclude(fetch, failure);
            let report = self.end(made.id, made.request, started, result);
            deliver(positions, Arc::new(report));
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
            for ((veto, _), result) in open.into_iter().zip(observer.transitions(&batch)) {
                *veto = result.err().map(|Veto(error)| error);
            }
        }
        vetoes
    }
}

/// How many files of a batch the limit of open files has room for.
fn max_batch_files() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(limit.saturating_sub(RESERVED_DESCRIPTORS));
    files.unwrap_or(usize::MAX).min(MAX_BATCH_FILES)
}
