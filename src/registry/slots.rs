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

/// A host that answers no request for this many stalls is slow, also where bytes arrive: the
/// timeouts of those that wait would add up.
const STALLS_WITHOUT_ANSWER: u32 = 25;

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
    /// When a request ended, or the first of the present ones began.
    last_end: Instant,
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
                last_end: Instant::now(),
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
            state.restart(Instant::now());
        }
        while state.in_use >= state.allowed {
            let left = state.stalls_at().saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.allowed = state.allowed.saturating_mul(GROWTH);
                state.stall = state.stall.saturating_mul(2);
                state.restart(Instant::now());
                self.released.notify_all();
                continue;
            }
            let waited = self.released.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            cancel.check()?;
        }
        state.in_use += 1;
        Ok(Slot(self))
    }
}

impl State {
    /// When the host is stalled unless something happens.
    fn stalls_at(&self) -> Instant {
        let without_answer = self.stall.saturating_mul(STALLS_WITHOUT_ANSWER);
        (self.last_progress + self.stall).min(self.last_end + without_answer)
    }

    const fn restart(&mut self, now: Instant) {
        (self.last_progress, self.last_end) = (now, now);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.in_use -= 1;
        state.last_end = Instant::now();
        drop(state);
        self.0.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::{INITIAL, Slots};
    use crate::os::CancelToken;

    #[test]
    fn host_that_sends_without_answering_gets_more_connections() {
        let (slots, is_over) = (Slots::new(), AtomicBool::new(false));
        let cancel = CancelToken::new(None).expect("a token");
        thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    slots.progress();
                    thread::yield_now();
                }
            });
            let all: Vec<_> = (0..=INITIAL).map(|_| slots.acquire(&cancel)).collect();
            is_over.store(true, Ordering::Relaxed);
            assert!(all.iter().all(Result::is_ok));
        });
    }
}
