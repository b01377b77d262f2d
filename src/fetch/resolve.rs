//! Fetches a manifest without storing it, with the retries of a fetch: the one that a tag
//! points to, or that of a digest.

use std::time::Duration;

use skopeo_index_core::machine::{Attempts, Cause, EffectError, ManifestBytes};
use skopeo_index_core::request::{ImageName, Location, Request};
use skopeo_index_core::skopeo::SkopeoCommand;

use super::{ByteSource, Trace};
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
) -> Result<Vec<u8>, Cause> {
    let command = SkopeoCommand::InspectTag { location, name };
    with_retries(retry, cancel, on_retry, |_| {
        check_storage_exists(location)?;
        skopeo.run(&command, None, cancel, &mut None)
    })
}

/// Fetches the manifest bytes of a request, unverified, and stores nothing.
///
/// # Errors
/// The failure of the last attempt.
pub fn fetch_manifest(
    source: &ByteSource<'_>,
    request: &Request,
    retry: RetryPolicy,
    cancel: &CancelToken,
    on_retry: &dyn Fn(u32, &EffectError),
) -> Result<ManifestBytes, Cause> {
    with_retries(retry, cancel, on_retry, |attempt| {
        source.fetch(request, attempt, &mut Trace::default(), |skopeo, _| {
            check_storage_exists(request.location())?;
            let command = SkopeoCommand::InspectRaw(request);
            let bytes = skopeo.run(&command, None, cancel, &mut None)?;
            Ok(ManifestBytes::from(bytes))
        })
    })
}

fn with_retries<T>(
    retry: RetryPolicy,
    cancel: &CancelToken,
    on_retry: &dyn Fn(u32, &EffectError),
    fetch: impl Fn(u32) -> Result<T, EffectError>,
) -> Result<T, Cause> {
    let mut attempt = 1;
    loop {
        let error = match fetch(attempt) {
            Ok(fetched) => return Ok(fetched),
            Err(error) => error,
        };
        if !error.is_transient() {
            return Err(Cause::EffectFailed { error });
        }
        if attempt >= retry.attempts.get() {
            let attempts = attempt;
            return Err(Cause::RetriesExhausted { attempts, error });
        }
        on_retry(attempt, &error);
        cancel
            .sleep(backoff(retry.delay, attempt))
            .map_err(|reason| Cause::EffectFailed {
                error: reason.into(),
            })?;
        attempt += 1;
    }
}
