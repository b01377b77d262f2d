//! A registry: its connections, its scheme, and when it can be asked.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::registry::{Repository, Scheme};

use super::gate::{Permit, TlsMode};
use super::http::{HttpClient, failure};
use super::slots::Slots;
use crate::os::{CancelToken, lock};

/// A registry, and its connections.
pub(super) struct Host {
    pub(super) http: HttpClient,
    pub(super) slots: Arc<Slots>,
    /// Set once it has answered.
    pub(super) scheme: OnceLock<Scheme>,
    /// When it can be asked again, by its Retry-After.
    pub(super) not_before: Mutex<Option<Instant>>,
}

/// When a registry may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRequest {
    /// At once.
    Allowed,
    /// Later, by its Retry-After.
    Later,
}

impl Host {
    pub(super) fn next_request(&self) -> NextRequest {
        match *lock(&self.not_before) {
            Some(at) if at > Instant::now() => NextRequest::Later,
            _ => NextRequest::Allowed,
        }
    }

    /// The scheme to try, and the one to try next.
    pub(super) fn schemes(&self, permit: &Permit) -> (Scheme, Option<Scheme>) {
        let known = self.scheme.get();
        known.map_or_else(|| first_schemes(permit), |scheme| (*scheme, None))
    }

    /// Waits until its Retry-After has passed.
    pub(super) fn wait_for_retry_after(
        &self,
        timeout: Duration,
        cancel: &CancelToken,
    ) -> Result<(), EffectError> {
        let until = Instant::now() + timeout;
        loop {
            // Another request's answer may have set it during the wait.
            let not_before = *lock(&self.not_before);
            let now = Instant::now();
            let Some(not_before) = not_before.filter(|at| *at > now) else {
                return Ok(());
            };
            let left = not_before - now;
            if not_before > until {
                let left = humantime::format_duration(Duration::from_secs(left.as_secs()));
                let message = format!("the registry asks to wait {left}, longer than the timeout");
                return Err(failure(FailureKind::RateLimited, &message));
            }
            cancel.sleep(left)?;
        }
    }
}

/// The scheme to try at a registry that has not answered, and the one to try next. Without
/// TLS verification containers/image tries HTTPS, then HTTP. A registry of this machine, with
/// no network in between, mostly speaks HTTP.
pub(super) fn first_schemes(permit: &Permit) -> (Scheme, Option<Scheme>) {
    match permit.tls() {
        TlsMode::Verified => (Scheme::Https, None),
        TlsMode::Unverified if is_loopback(permit.repository()) => {
            (Scheme::Http, Some(Scheme::Https))
        }
        TlsMode::Unverified => (Scheme::Https, Some(Scheme::Http)),
    }
}

/// The URL of a registry.
pub(super) fn base_url(scheme: Scheme, repository: &Repository) -> String {
    format!("{}://{}", scheme.as_str(), repository.host())
}

/// Whether a registry is on this machine.
fn is_loopback(repository: &Repository) -> bool {
    let host = repository.host();
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let address = host.parse::<Ipv4Addr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
