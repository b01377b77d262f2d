//! Fetches manifests by digest, in the calling thread.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::RootCertStore;
use serde::Deserialize;
use skopeo_index_core::audit::ExchangeRecord;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::registry::{
    ACCEPT, BearerChallenge, Challenge, MAX_TOKEN_DOCUMENT, Repository, Scheme,
    Token as TokenDocument, Url, UrlError, retry_after,
};
use skopeo_index_core::skopeo::SkopeoOptions;

use super::certificates::system_roots;
use super::gate::{Permit, Redirects, TlsMode};
use super::http::{Answer, Get, HttpClient, HttpError, cancelled, failure, status_kind};
use super::slots::Slots;
use super::tls::client_config;
use super::tokens::{Scope, Token, Tokens};
use super::transport::HttpConnector;
use crate::os::CancelToken;
use crate::skopeo::redactor;

/// Redirects that are followed: registry.k8s.io needs one, Go's client stops at 10.
const MAX_REDIRECTS: usize = 5;

/// Requests for one manifest: redirects, and two answers of 401 (no token, an expired one).
const MAX_REQUESTS: usize = MAX_REDIRECTS + 3;

/// Fetches manifests from registries over kept connections.
pub struct RegistryClient {
    cancel: Arc<CancelToken>,
    timeout: Duration,
    options: SkopeoOptions,
    system: crate::os::Host,
    /// Read once: hundreds of files, and every fetch of a run may need them at once.
    system_roots: OnceLock<RootCertStore>,
    hosts: Mutex<HashMap<(String, TlsMode), Arc<Host>>>,
    tokens: Tokens,
}

/// The result of a fetch.
#[derive(Debug)]
pub struct Fetched {
    /// The bytes of an answer with status 200, unverified.
    pub bytes: Result<Vec<u8>, EffectError>,
    /// Who answered.
    pub exchange: ExchangeRecord,
}

/// A registry, and its connections.
struct Host {
    http: HttpClient,
    slots: Arc<Slots>,
    /// Set once it has answered.
    scheme: OnceLock<Scheme>,
    /// When it can be asked again, by its Retry-After.
    not_before: Mutex<Option<Instant>>,
}

/// A manifest that is being fetched.
struct Fetching<'a> {
    client: &'a RegistryClient,
    host: &'a Host,
    permit: &'a Permit,
    digest: Digest,
    until: Instant,
    exchange: &'a mut ExchangeRecord,
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
        let mut fetching = Fetching {
            client: self,
            host: &host,
            permit,
            digest,
            until: Instant::now() + self.timeout,
            exchange,
        };
        fetching.fetch()
    }

    fn host(&self, permit: &Permit) -> Result<Arc<Host>, rustls::Error> {
        let key = (permit.repository().domain().to_owned(), permit.tls());
        if let Some(host) = self.hosts().get(&key) {
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
        Ok(Arc::clone(self.hosts().entry(key).or_insert(host)))
    }

    fn system_roots(&self) -> RootCertStore {
        let roots = self.system_roots.get_or_init(|| system_roots(&self.system));
        roots.clone()
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<(String, TlsMode), Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn redactor(&self) -> Redactor {
        redactor(&self.options)
    }
}

impl Host {
    /// The schemes to try, in their order. Without TLS verification containers/image tries
    /// HTTPS, then HTTP. A registry of this machine, which no network is in between of,
    /// mostly speaks HTTP.
    fn schemes(&self, permit: &Permit) -> &'static [Scheme] {
        match (self.scheme.get(), permit.tls()) {
            (Some(Scheme::Http), _) => &[Scheme::Http],
            (Some(Scheme::Https), _) | (None, TlsMode::Verified) => &[Scheme::Https],
            (None, TlsMode::Unverified) if is_loopback(permit.repository()) => {
                &[Scheme::Http, Scheme::Https]
            }
            (None, TlsMode::Unverified) => &[Scheme::Https, Scheme::Http],
        }
    }

    /// Waits until the registry wants to be asked again.
    fn wait_for_retry_after(
        &self,
        timeout: Duration,
        cancel: &CancelToken,
    ) -> Result<(), EffectError> {
        let not_before = *self.not_before();
        let left = not_before.map(|at| at.saturating_duration_since(Instant::now()));
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            return Ok(());
        };
        if left > timeout {
            let left = humantime::format_duration(Duration::from_secs(left.as_secs()));
            let message = format!("the registry asks to wait {left}, longer than the timeout");
            return Err(failure(FailureKind::RateLimited, &message));
        }
        let cancelled = cancel.sleep(left);
        cancelled.map_or(Ok(()), |reason| Err(EffectError::Cancelled { reason }))
    }

    fn not_before(&self) -> MutexGuard<'_, Option<Instant>> {
        self.not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetching<'_> {
    fn fetch(&mut self) -> Result<Vec<u8>, EffectError> {
        let schemes = self.host.schemes(self.permit);
        let mut result = Err(failure(FailureKind::Other, "no scheme"));
        for (at, scheme) in schemes.iter().enumerate() {
            result = self.fetch_by(*scheme);
            let is_last = at + 1 == schemes.len();
            if is_last || !self.speaks_otherwise(*scheme, &result) {
                if self.exchange.status.is_some() {
                    crate::os::best_effort(self.host.scheme.set(*scheme));
                }
                break;
            }
        }
        result
    }

    /// Whether the other end may speak the other scheme.
    fn speaks_otherwise(&self, scheme: Scheme, result: &Result<Vec<u8>, EffectError>) -> bool {
        let Err(EffectError::Command { kind, .. }) = result else {
            return false;
        };
        match scheme {
            // "Client sent an HTTP request to an HTTPS server", or the connection is closed.
            Scheme::Http => matches!(self.exchange.status, None | Some(400)),
            Scheme::Https => {
                matches!(
                    kind,
                    FailureKind::NotTls | FailureKind::Network | FailureKind::Tls
                ) && self.exchange.status.is_none()
            }
        }
    }

    /// Requests the manifest, with a token or a password once the registry asks for it.
    fn fetch_by(&mut self, scheme: Scheme) -> Result<Vec<u8>, EffectError> {
        let repository = self.permit.repository();
        let base = format!("{}://{}", scheme.as_str(), repository.host());
        let scope: Scope = (base.clone(), repository.path().to_owned());
        let origin = format!("{base}{}", repository.manifest_path(self.digest));
        let origin: Url = origin.parse().map_err(|error| unexpected(&error))?;
        let mut url = origin.clone();
        let mut authorization = self.client.tokens.known(&scope);
        let mut challenged = 0;
        for _ in 0..MAX_REQUESTS {
            let at_home = origin_of(&url) == origin_of(&origin);
            let answer = self.get(&url, authorization.as_deref().filter(|_| at_home))?;
            match answer.status().as_u16() {
                200 => return Ok(answer.body),
                401 if at_home && challenged < 2 => {
                    challenged += 1;
                    let refused = authorization.take();
                    authorization = self.authorize(&answer, &scope, &url, refused.as_deref())?;
                    if authorization.is_none() {
                        return Err(self.status_failure(&answer));
                    }
                }
                301..=303 | 307 | 308 => url = self.follow(&answer, &url, &origin)?,
                _ => return Err(self.status_failure(&answer)),
            }
        }
        Err(failure(FailureKind::UnexpectedAnswer, "too many redirects"))
    }

    fn get(&mut self, url: &Url, authorization: Option<&str>) -> Result<Answer, EffectError> {
        self.exchange.endpoint = origin_of(url);
        (self.exchange.peer, self.exchange.status, self.exchange.tls) = (None, None, None);
        let answer = self.host.http.get(Get {
            url: &url.to_string(),
            accept: &ACCEPT,
            authorization,
            until: self.until,
            max_body: MAX_MANIFEST_SIZE,
        });
        let answer = answer.map_err(|error| self.failure(&error))?;
        self.exchange.status = Some(answer.status().as_u16());
        if let Some(connection) = &answer.connection {
            self.exchange.peer = Some(connection.endpoint.peer.to_string());
            self.exchange.tls.clone_from(&connection.endpoint.tls);
        }
        Ok(answer)
    }

    /// The header's value that the registry asks for; `None` where there is none.
    fn authorize(
        &self,
        answer: &Answer,
        scope: &Scope,
        url: &Url,
        refused: Option<&str>,
    ) -> Result<Option<String>, EffectError> {
        let challenges = Challenge::parse_all(answer.challenges());
        let challenges = challenges.map_err(|error| unexpected(&error))?;
        // As containers/image: the first that is understood.
        let Some(challenge) = challenges.into_iter().next() else {
            return Ok(None);
        };
        let password = self
            .permit
            .credentials()
            .map(|credentials| credentials.basic());
        match challenge {
            Challenge::Basic => Ok(password.filter(|password| Some(password.as_str()) != refused)),
            Challenge::Bearer(bearer) => {
                let realm = bearer.realm();
                let is_home = realm.authority() == url.authority() || self.trusts(realm);
                if password.is_some() && !is_home {
                    let message = format!("credentials are not sent to {}", origin_of(realm));
                    return Err(failure(FailureKind::Authentication, &message));
                }
                let is_secure =
                    realm.scheme() == Scheme::Https || self.permit.tls() == TlsMode::Unverified;
                if !is_secure || !(is_home || self.may_leave_host()) {
                    let message = format!("no token is requested from {}", origin_of(realm));
                    return Err(failure(FailureKind::Authentication, &message));
                }
                let tokens = &self.client.tokens;
                let token = tokens.get(scope, refused, &self.client.cancel, || {
                    self.request_token(&bearer, password.as_deref())
                });
                token.map(Some)
            }
        }
    }

    /// Whether the registry's credentials are for this token server as well.
    fn trusts(&self, realm: &Url) -> bool {
        self.permit.repository().domain() == "docker.io" && realm.authority() == "auth.docker.io"
    }

    /// Whether requests may go to another host. A client certificate would go along.
    fn may_leave_host(&self) -> bool {
        self.permit.redirects() == Redirects::AnyHost
            && self.permit.certificates().client().is_none()
    }

    fn request_token(
        &self,
        challenge: &BearerChallenge,
        password: Option<&str>,
    ) -> Result<Token, EffectError> {
        let url = challenge.token_url(self.permit.repository());
        let answer = self.host.http.get(Get {
            url: &url.to_string(),
            accept: &[],
            authorization: password,
            until: self.until,
            max_body: MAX_TOKEN_DOCUMENT,
        });
        let answer = answer.map_err(|error| self.failure(&error))?;
        if answer.status().as_u16() != 200 {
            return Err(self.status_failure(&answer));
        }
        let document = TokenDocument::parse(&answer.body);
        let document = document.map_err(|error| unexpected(&error))?;
        Ok(Token {
            authorization: document.authorization(),
            expires: Instant::now() + document.lifetime(),
        })
    }

    /// Where a redirect leads to, if that may be asked: another host only without its
    /// credentials, and only where no registry is configured.
    fn follow(&self, answer: &Answer, from: &Url, origin: &Url) -> Result<Url, EffectError> {
        let refuse = |what: String| failure(FailureKind::UnexpectedAnswer, &what);
        let location = answer.location().unwrap_or_default();
        let to = join(from, location).map_err(|error| refuse(format!("redirect: {error}")))?;
        let is_downgrade = from.scheme() == Scheme::Https && to.scheme() == Scheme::Http;
        let leaves = origin_of(&to) != origin_of(origin) && !self.may_leave_host();
        if is_downgrade || leaves {
            return Err(refuse(format!(
                "the redirect to {} is not followed",
                origin_of(&to)
            )));
        }
        Ok(to)
    }

    /// The failure of a request without an answer.
    fn failure(&self, error: &HttpError) -> EffectError {
        if matches!(error, HttpError::TimedOut) {
            // In the words of a command that took too long.
            let timeout = crate::skopeo::RunError::TimedOut {
                after: self.client.timeout,
                stderr: Vec::new(),
            };
            return timeout.into();
        }
        let text = self.client.redactor().redact(&error.to_string());
        failure(error.kind(), &text)
    }

    /// The failure that a status tells, with the registry's own message.
    fn status_failure(&self, answer: &Answer) -> EffectError {
        let status = answer.status();
        let mut message = format!("HTTP {status}");
        if let Some(text) = error_text(&answer.body) {
            message = format!("{message}: {}", self.client.redactor().redact(&text));
        }
        let kind = status_kind(status);
        if kind.is_transient()
            && let Some(wait) = answer
                .retry_after()
                .and_then(|value| retry_after(value, SystemTime::now()))
        {
            *self.host.not_before() = Instant::now().checked_add(wait);
            message = format!(
                "{message}; retry after {}",
                humantime::format_duration(wait)
            );
        }
        failure(kind, &message)
    }
}

fn unexpected(error: &dyn std::error::Error) -> EffectError {
    failure(FailureKind::UnexpectedAnswer, &error.to_string())
}

/// Scheme, host and port.
fn origin_of(url: &Url) -> String {
    format!("{}://{}", url.scheme().as_str(), url.authority())
}

/// A redirect's target: an absolute URL, or a path of the same host.
fn join(from: &Url, location: &str) -> Result<Url, UrlError> {
    match location.starts_with('/') && !location.starts_with("//") {
        true => format!("{}{location}", origin_of(from)).parse(),
        false => location.parse(),
    }
}

/// Whether a registry is on this machine.
fn is_loopback(repository: &Repository) -> bool {
    let host = repository.host();
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let address = host.parse::<Ipv4Addr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The first message of a registry's error document (distribution-spec, "Error codes").
fn error_text(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Document {
        errors: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let document: Document = serde_json::from_slice(body).ok()?;
    let item = document.errors.into_iter().next()?;
    let text = if item.message.is_empty() {
        item.code
    } else {
        item.message
    };
    Some(text).filter(|text| !text.is_empty())
}
