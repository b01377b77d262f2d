//! A registry of manifests in this process.

use std::collections::{HashMap, VecDeque};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use super::serve::{Received, accept};
use crate::loopback::{Behaviour, Certificate};

/// Reference of the connection itself, before any request, for [`Registry::behave`].
pub const CONNECT: &str = "";

/// Reference of the first request of a client, for [`Registry::behave`].
pub const PING: &str = "/v2/";

/// Path to which [`Behaviour::bearer`] sends clients.
pub const TOKEN: &str = "/token";

/// Serves manifests by HTTP, plain or over TLS, under any repository's name, until dropped.
pub struct Registry {
    address: String,
    shared: Arc<Shared>,
    /// With the certificate.
    dir: Option<TempDir>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub(super) struct Shared {
    manifests: Mutex<HashMap<String, Manifest>>,
    /// Connections that are being served.
    connections: Mutex<Vec<Weak<TcpStream>>>,
    /// All requests, and how many connections they came over.
    received: Mutex<(Vec<Received>, usize)>,
    /// The value of `Authorization` that requests need, and the answer to others.
    required: Mutex<Option<(String, Behaviour)>>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) stop: AtomicBool,
}

/// The document of a tag or a digest.
#[derive(Default)]
struct Manifest {
    bytes: Vec<u8>,
    /// Behaviours for the next requests, one each.
    next: VecDeque<Behaviour>,
    /// Behaviour for all requests after these.
    always: Option<Behaviour>,
    requests: usize,
}

impl Registry {
    /// Starts a registry on a free port.
    ///
    /// # Panics
    /// Where no port is free.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0", Shared::default())
    }

    /// Starts a registry on a free port of `[::1]` or another address.
    ///
    /// # Panics
    /// Where no port is free.
    #[must_use]
    pub fn start_on(ip: &str) -> Self {
        Self::start_at(&format!("{ip}:0"), Shared::default())
    }

    /// Starts a registry with TLS. Its authority is in [`Registry::cert_dir`].
    ///
    /// # Panics
    /// Where no port is free, or there is no openssl.
    #[must_use]
    pub fn with_tls(certificate: Certificate) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        certificate.issue(dir.path());
        let chain = CertificateDer::from_pem_file(dir.path().join("server.pem"));
        let key = PrivateKeyDer::from_pem_file(dir.path().join("key.pem"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![chain.expect("PEM")], key.expect("PEM"))
            .expect("a certificate and its key");
        let shared = Shared {
            tls: Some(Arc::new(config)),
            ..Shared::default()
        };
        let mut registry = Self::start_at("127.0.0.1:0", shared);
        registry.dir = Some(dir);
        registry
    }

    /// Directory for `--cert-dir`.
    ///
    /// # Panics
    /// Without TLS.
    #[must_use]
    pub fn cert_dir(&self) -> PathBuf {
        let dir = self.dir.as_ref().expect("a registry with TLS");
        dir.path().join("certs")
    }

    fn start_at(address: &str, shared: Shared) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("a bound address").to_string();
        let shared = Arc::new(shared);
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            address,
            shared,
            dir: None,
            accepting: Some(accepting),
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Serves a document or a blob under its digest, and returns the digest.
    pub fn put(&self, bytes: impl Into<Vec<u8>>) -> String {
        let bytes = bytes.into();
        let digest = crate::loopback::digest(&bytes);
        self.put_as(&digest, bytes);
        digest
    }

    /// Serves a document under a tag, or under a digest that may not be its own.
    pub fn put_as(&self, reference: &str, bytes: impl Into<Vec<u8>>) {
        self.shared
            .manifests()
            .entry(reference.to_owned())
            .or_default()
            .bytes = bytes.into();
    }

    /// Misbehaves at every request for a reference.
    pub fn behave(&self, reference: &str, behaviour: Behaviour) {
        self.shared
            .manifests()
            .entry(reference.to_owned())
            .or_default()
            .always = Some(behaviour);
    }

    /// Misbehaves at the next requests for a reference, one after the other.
    pub fn behave_once(&self, reference: &str, next: impl IntoIterator<Item = Behaviour>) {
        self.shared
            .manifests()
            .entry(reference.to_owned())
            .or_default()
            .next
            .extend(next);
    }

    /// Answers requests below `/v2/` by a challenge unless they have this `Authorization`.
    pub fn require(&self, authorization: &str, challenge: Behaviour) {
        let required = Some((authorization.to_owned(), challenge));
        *self.shared.required() = required;
    }

    /// Number of requests for a reference.
    #[must_use]
    pub fn requests(&self, reference: &str) -> usize {
        self.shared
            .manifests()
            .get(reference)
            .map_or(0, |manifest| manifest.requests)
    }

    /// All requests so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received().0.clone()
    }

    /// Number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.received().1
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then closes all connections.
        TcpStream::connect(&self.address).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}

impl Shared {
    fn manifests(&self) -> MutexGuard<'_, HashMap<String, Manifest>> {
        self.manifests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn required(&self) -> MutexGuard<'_, Option<(String, Behaviour)>> {
        self.required.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a request that lacks the required authorization.
    pub(super) fn challenge(&self, request: &Received) -> Option<Behaviour> {
        let required = self.required();
        let (authorization, challenge) = required.as_ref()?;
        let is_refused = request.target.starts_with(PING)
            && request.authorization.as_ref() != Some(authorization);
        is_refused.then(|| challenge.clone())
    }

    pub(super) fn received(&self) -> MutexGuard<'_, (Vec<Received>, usize)> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The document of a reference, and the behaviour instead of serving it, if any.
    pub(super) fn requested(&self, reference: &str) -> Option<(Vec<u8>, Option<Behaviour>)> {
        let mut manifests = self.manifests();
        let manifest = manifests.get_mut(reference)?;
        manifest.requests += 1;
        let next = manifest.next.pop_front();
        let behaviour = next.or_else(|| manifest.always.clone());
        Some((manifest.bytes.clone(), behaviour))
    }

    pub(super) fn connections(&self) -> MutexGuard<'_, Vec<Weak<TcpStream>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, connection: &Arc<TcpStream>) {
        let mut connections = self.connections();
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(connection));
    }
}
