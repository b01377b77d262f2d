//! Fetches the manifest that a tag points to, with the retries of a fetch.

use std::time::Duration;

use skopeo_index_core::machine::{Attempts, EffectError};
use skopeo_index_core::request::{ImageName, Location};
use skopeo_index_core::skopeo::SkopeoCommand;

use crate::os::CancelToken;
use crate::skopeo::{Skopeo, check_storage_exists};

/// Upper bound of the delay between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// When transient failures are retried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts, the first included.
    pub attempts: Attempts,
    /// Delay before the first retry.
    pub delay: Duration,
}

/// The delay after a failed attempt: doubles each time, at random between a half and the
/// whole of it, so that fetches that failed together don't retry together.
#[must_use]
pub fn backoff(first: Duration, attempt: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(attempt.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let whole = first.saturating_mul(factor).min(MAX_BACKOFF);
    whole.mul_f64(f64::midpoint(1.0, fastrand::f64()))
}

/// Returns the manifest bytes that `name` has now. `on_retry` sees each failure that is
/// retried, with its attempt.
///
/// # Errors
/// The failure of the last attempt.
pub fn resolve(
    skopeo: &Skopeo<'_>,
    location: &Location,
    name: &ImageName,
    retry: RetryPolicy,
    cancel: &CancelToken,
    on_retry: &dyn Fn(u32, &EffectError),
) -> Result<Vec<u8>, EffectError> {
    check_storage_exists(location)?;
    let command = SkopeoCommand::InspectTag { location, name };
    let mut attempt = 1;
    loop {
        let error = match skopeo.run(&command, None, cancel, &mut None) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        if !error.is_transient() || attempt == retry.attempts.get() {
            return Err(error);
        }
        on_retry(attempt, &error);
        if let Some(reason) = cancel.sleep(backoff(retry.delay, attempt)) {
            return Err(EffectError::Cancelled { reason });
        }
        attempt += 1;
    }
}
