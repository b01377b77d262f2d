//! Fetches manifests by digest, in the calling thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use skopeo_index_core::audit::ExchangeRecord;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::skopeo::SkopeoOptions;

use super::certificates::system_roots;
use super::gate::{Permit, TlsMode};
use super::host::Host;
use super::http::{HttpClient, cancelled, failure};
use super::manifest_request::ManifestRequest;
use super::slots::Slots;
use super::tls::client_config;
use super::tokens::Tokens;
use super::transport::HttpConnector;
use crate::os::CancelToken;

/// Fetches manifests from registries over kept connections.
pub struct RegistryClient {
    cancel: Arc<CancelToken>,
    pub(super) timeout: Duration,
    pub(super) options: SkopeoOptions,
    system: crate::os::Host,
    /// Read once: hundreds of files, and every fetch of a run may need them at once.
    system_roots: OnceLock<RootCertStore>,
    hosts: Mutex<HashMap<(String, TlsMode), Arc<Host>>>,
    pub(super) tokens: Tokens,
}

/// The result of a fetch.
#[derive(Debug)]
pub struct Fetched {
    /// The bytes of an answer with status 200, unverified.
    pub bytes: Result<Vec<u8>, EffectError>,
    /// Who answered.
    pub exchange: ExchangeRecord,
}

impl RegistryClient {
    /// A client whose requests have `timeout` each. `options` say which credentials must
    /// not be shown.
    #[must_use]
    pub fn new(cancel: Arc<CancelToken>, timeout: Duration, options: SkopeoOptions) -> Self {
        Self {
            cancel,
            timeout,
            options,
            system: crate::os::Host::from_process(),
            system_roots: OnceLock::new(),
            hosts: Mutex::default(),
            tokens: Tokens::default(),
        }
    }

    /// Fetches a manifest.
    #[must_use]
    pub fn fetch(&self, permit: &Permit, digest: Digest) -> Fetched {
        let started = Instant::now();
        let mut exchange = ExchangeRecord {
            endpoint: format!("https://{}", permit.repository().host()),
            milliseconds: 0,
            peer: None,
            status: None,
            tls: None,
        };
        let bytes = self.try_fetch(permit, digest, &mut exchange);
        // Whatever failed, it failed by the cancellation.
        let bytes = bytes.map_err(|error| cancelled(&self.cancel).unwrap_or(error));
        let milliseconds = started.elapsed().as_millis();
        exchange.milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        Fetched { bytes, exchange }
    }

    fn try_fetch(
        &self,
        permit: &Permit,
        digest: Digest,
        exchange: &mut ExchangeRecord,
    ) -> Result<Vec<u8>, EffectError> {
        let host = self
            .host(permit)
            .map_err(|error| failure(FailureKind::Tls, &error.to_string()))?;
        host.wait_for_retry_after(self.timeout, &self.cancel)?;
        let slot = host.slots.acquire(&self.cancel);
        let _slot = slot.map_err(|reason| EffectError::Cancelled { reason })?;
        let mut request = ManifestRequest {
            client: self,
            host: &host,
            permit,
            digest,
            until: Instant::now() + self.timeout,
            authorization: None,
            exchange,
        };
        request.fetch()
    }

    fn host(&self, permit: &Permit) -> Result<Arc<Host>, rustls::Error> {
        let key = (permit.repository().domain().to_owned(), permit.tls());
        // Others wait, so that certificates are read once.
        let mut hosts = self.hosts();
        if let Some(host) = hosts.get(&key) {
            return Ok(Arc::clone(host));
        }
        let slots = Arc::new(Slots::new());
        let host = Arc::new(Host {
            http: HttpClient::new(HttpConnector {
                cancel: Arc::clone(&self.cancel),
                slots: Arc::clone(&slots),
                tls: client_config(permit, || self.system_roots())?,
            }),
            slots,
            scheme: OnceLock::new(),
            not_before: Mutex::default(),
        });
        hosts.insert(key, Arc::clone(&host));
        Ok(host)
    }

    fn system_roots(&self) -> RootCertStore {
        let roots = self.system_roots.get_or_init(|| system_roots(&self.system));
        roots.clone()
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<(String, TlsMode), Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
