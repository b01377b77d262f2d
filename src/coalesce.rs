//! One sync for all who want one at the same time.

use std::sync::PoisonError;

use crate::sync::{Condvar, Mutex, MutexGuard};

/// Lets callers share the syncs of one directory. A sync covers whatever was
/// done before it began, so a caller needs one that begins after its call, and
/// it doesn't matter who makes it.
#[derive(Debug, Default)]
pub(crate) struct Coalesced {
    syncs: Mutex<Syncs>,
    ended: Condvar,
}

/// Numbers of syncs, from 1.
#[derive(Debug, Default)]
struct Syncs {
    /// The last that began.
    begun: u64,
    /// The last that ended well.
    done: u64,
    running: bool,
}

impl Coalesced {
    /// Returns when a sync that began after this call has ended well; makes it
    /// where nobody else does.
    pub(crate) fn sync<E>(&self, sync: impl Fn() -> Result<(), E>) -> Result<(), E> {
        let mut syncs = self.syncs();
        let needed = syncs.begun + 1;
        loop {
            if syncs.done >= needed {
                return Ok(());
            }
            if syncs.running {
                syncs = self
                    .ended
                    .wait(syncs)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            syncs.begun += 1;
            syncs.running = true;
            let this = syncs.begun;
            drop(syncs);
            let synced = sync();
            syncs = self.syncs();
            syncs.running = false;
            if synced.is_ok() {
                syncs.done = this;
            }
            drop(syncs);
            // After a failure, each of the others makes its own and sees for itself.
            self.ended.notify_all();
            return synced;
        }
    }

    fn syncs(&self) -> MutexGuard<'_, Syncs> {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
