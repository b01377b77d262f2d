//! Fetches manifests by digest, in the calling thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use skopeo_index_core::audit::ExchangeRecord;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::request::Request;

use super::certificates::system_roots;
use super::gate::{Gate, GateInputs, Permit, TlsMode};
use super::host::{Host, NextRequest, base_url, first_schemes};
use super::http::{HttpClient, failure};
use super::manifest_request::ManifestRequest;
use super::slots::Slots;
use super::tls::client_config;
use super::tokens::Tokens;
use super::transport::HttpConnector;
use super::{GateRefusal, ManifestClient};
use crate::os::{CancelToken, lock};

/// Fetches manifests from registries over kept connections, where the gate permits it.
pub struct RegistryClient<'a> {
    pub(super) inputs: &'a GateInputs<'a>,
    /// Reads the host's configuration when it is first asked.
    gate: OnceLock<Gate>,
    pub(super) cancel: Arc<CancelToken>,
    pub(super) timeout: Duration,
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
    /// Value of the header `Authorization` that was sent last.
    pub authorization: Option<String>,
    /// When the registry may be asked again.
    pub next_request: NextRequest,
}

impl<'a> RegistryClient<'a> {
    /// A client whose requests have `timeout` each.
    #[must_use]
    pub fn new(inputs: &'a GateInputs<'a>, cancel: &Arc<CancelToken>, timeout: Duration) -> Self {
        Self {
            inputs,
            gate: OnceLock::new(),
            cancel: Arc::clone(cancel),
            timeout,
            system_roots: OnceLock::new(),
            hosts: Mutex::default(),
            tokens: Tokens::default(),
        }
    }

    /// The URL that would be requested first.
    ///
    /// # Errors
    /// Why the client may not fetch the request.
    pub fn first_url(&self, request: &Request) -> Result<String, GateRefusal> {
        let permit = self.check(request)?;
        let base = base_url(first_schemes(&permit).0, permit.repository());
        let path = permit.repository().manifest_path(request.digest());
        Ok(base + &path)
    }

    fn check(&self, request: &Request) -> Result<Permit, GateRefusal> {
        let gate = self.gate.get_or_init(|| Gate::new(self.inputs));
        gate.check(request)
    }

    fn try_fetch(
        &self,
        host: &Host,
        permit: &Permit,
        digest: Digest,
        exchange: &mut ExchangeRecord,
        authorization: &mut Option<String>,
    ) -> Result<Vec<u8>, EffectError> {
        let _slot = host.slots.acquire(&self.cancel)?;
        // After the wait for a slot, during which an answer may have come.
        host.wait_for_retry_after(self.timeout, &self.cancel)?;
        let mut request = ManifestRequest {
            client: self,
            host,
            permit,
            digest,
            until: Instant::now() + self.timeout,
            authorization,
            exchange,
        };
        request.fetch()
    }

    fn host(&self, permit: &Permit) -> Result<Arc<Host>, rustls::Error> {
        let key = (permit.repository().domain().to_owned(), permit.tls());
        // Others wait, so that certificates are read once.
        let mut hosts = lock(&self.hosts);
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
        let roots = self
            .system_roots
            .get_or_init(|| system_roots(&self.inputs.host));
        roots.clone()
    }
}

impl ManifestClient for RegistryClient<'_> {
    fn fetch(&self, request: &Request) -> Result<Fetched, GateRefusal> {
        let permit = self.check(request)?;
        let started = Instant::now();
        let mut exchange = ExchangeRecord {
            endpoint: base_url(first_schemes(&permit).0, permit.repository()),
            ..ExchangeRecord::default()
        };
        let mut authorization = None;
        let digest = request.digest();
        let host = self.host(&permit);
        let host = host.map_err(|error| failure(FailureKind::Tls, &error.to_string()));
        let bytes = match &host {
            Ok(host) => self.try_fetch(host, &permit, digest, &mut exchange, &mut authorization),
            Err(error) => Err(error.clone()),
        };
        // Whatever failed, it failed by the cancellation.
        let cancelled = self.cancel.cancelled().map(EffectError::from);
        let bytes = bytes.map_err(|error| cancelled.unwrap_or(error));
        let milliseconds = started.elapsed().as_millis();
        exchange.milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        Ok(Fetched {
            bytes,
            exchange,
            authorization,
            next_request: host.map_or(NextRequest::Allowed, |host| host.next_request()),
        })
    }
}
