//! How many connections a host gets: few where answers come one after another, more
//! where requests only wait.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skopeo_index_core::machine::CancelReason;

use crate::os::{CancelToken, lock};

/// Connections that a host gets at once.
const INITIAL: usize = 2;

/// A host from which nothing arrives for this long is far away, not busy. Longer than a
/// local answer takes, short beside a network's round trip. It doubles at each stall, so
/// that a busy machine is not taken for a far one.
const FIRST_STALL: Duration = Duration::from_millis(10);

/// By how much the number of connections grows after a stall: the second one allows as many
/// as there are fetches by default.
const GROWTH: usize = 4;

/// Limits the concurrent requests to a host, and thereby the connections that are kept.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug)]
struct State {
    in_use: usize,
    allowed: usize,
    /// The stall after which more are allowed.
    stall: Duration,
    last_progress: Instant,
}

/// A request's place, until dropped.
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                in_use: 0,
                allowed: INITIAL,
                stall: FIRST_STALL,
                last_progress: Instant::now(),
            }),
            released: Condvar::new(),
        }
    }

    /// Something arrived from the host.
    pub(super) fn progress(&self) {
        lock(&self.state).last_progress = Instant::now();
    }

    /// Waits for a place, at most as long as the host is stalled.
    pub(super) fn acquire(&self, cancel: &CancelToken) -> Result<Slot<'_>, CancelReason> {
        let mut state = lock(&self.state);
        if state.in_use == 0 {
            state.last_progress = Instant::now();
        }
        while state.in_use >= state.allowed {
            let stalled = state.last_progress.elapsed();
            let stall = state.stall;
            if stalled >= stall {
                state.allowed = state.allowed.saturating_mul(GROWTH);
                state.stall = stall.saturating_mul(2);
                state.last_progress = Instant::now();
                self.released.notify_all();
                continue;
            }
            let waited = self.released.wait_timeout(state, stall - stalled);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            cancel.check()?;
        }
        state.in_use += 1;
        Ok(Slot(self))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).in_use -= 1;
        self.0.released.notify_one();
    }
}
