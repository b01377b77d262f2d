//! Group commit: concurrent callers share one fsync.

use std::sync::PoisonError;

use crate::sync::{Condvar, Mutex, MutexGuard};

/// Shares the syncs of one file or directory. A sync covers whatever was done before it
/// began, so a caller needs one that begins after its call, whichever caller makes it.
#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    state: Mutex<State>,
    completed: Condvar,
}

/// Numbers of syncs, from 1.
#[derive(Debug, Default)]
struct State {
    /// The last that began.
    begun: u64,
    /// The last that succeeded.
    done: u64,
    running: bool,
}

impl GroupCommit {
    /// Returns once a sync that began after this call has succeeded; makes it, unless
    /// another caller does.
    pub(crate) fn sync<E>(&self, sync: impl Fn() -> Result<(), E>) -> Result<(), E> {
        let mut state = self.state();
        let needed = state.begun + 1;
        while state.running {
            let completed = self.completed.wait(state);
            state = completed.unwrap_or_else(PoisonError::into_inner);
            if state.done >= needed {
                return Ok(());
            }
        }
        state.begun += 1;
        state.running = true;
        let this = state.begun;
        drop(state);
        let result = sync();
        let mut state = self.state();
        state.running = false;
        if result.is_ok() {
            state.done = this;
        }
        drop(state);
        // A failure is not shared: each waiting caller makes its own sync.
        self.completed.notify_all();
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
