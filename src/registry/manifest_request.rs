//! The requests for one manifest: schemes, redirects, credentials.

use std::fmt::Display;
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use skopeo_index_core::audit::ExchangeRecord;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::registry::{ACCEPT, Repository, Scheme, Url, UrlError, retry_after};
use skopeo_index_core::skopeo::SkopeoOptions;
use ureq::http::header::{LOCATION, RETRY_AFTER};

use super::client::RegistryClient;
use super::gate::{Permit, Redirects};
use super::host::{Host, base_url};
use super::http::{Answer, Get, explain, failure};
use super::tokens::Scope;
use crate::os::{best_effort, lock};
use crate::skopeo::redactor;

/// Redirects that are followed: registry.k8s.io needs one, Go's client stops at 10.
const MAX_REDIRECTS: usize = 5;

/// Answers of 401 after which a token is obtained: none was sent, or an expired one.
const MAX_CHALLENGES: usize = 2;

/// A manifest that is being fetched.
pub(super) struct ManifestRequest<'a> {
    pub(super) client: &'a RegistryClient<'a>,
    pub(super) host: &'a Host,
    pub(super) permit: &'a Permit,
    pub(super) digest: Digest,
    pub(super) until: Instant,
    /// Value of the header `Authorization` for the registry.
    pub(super) authorization: &'a mut Option<String>,
    pub(super) exchange: &'a mut ExchangeRecord,
}

impl ManifestRequest<'_> {
    /// Tries the schemes in their order, until the other end has answered by one.
    pub(super) fn fetch(&mut self) -> Result<Vec<u8>, EffectError> {
        let (scheme, other) = self.host.schemes(self.permit);
        let result = self.fetch_by(scheme);
        match other {
            Some(other) if self.has_time() && self.speaks_otherwise(scheme, &result) => {
                let exchange = self.exchange.clone();
                let by_other = self.fetch_by(other);
                // The answer to plain HTTP, a 400, stands where the other end has no TLS.
                match kind(&by_other) {
                    Some(FailureKind::NotTls | FailureKind::PlainHttp) => {
                        *self.exchange = exchange;
                        result
                    }
                    _ => by_other,
                }
            }
            _ => result,
        }
    }

    /// Whether a request can still be sent.
    fn has_time(&self) -> bool {
        Instant::now() < self.until && self.client.cancel.cancelled().is_none()
    }

    /// Whether the other end may speak the other scheme: it has not answered by this one.
    fn speaks_otherwise(&self, scheme: Scheme, result: &Result<Vec<u8>, EffectError>) -> bool {
        let is_silent = self.host.scheme.get() != Some(&scheme);
        is_silent
            && match (scheme, kind(result)) {
                (_, None) => false,
                (Scheme::Http, Some(_)) => true,
                (Scheme::Https, Some(kind)) => matches!(
                    kind,
                    FailureKind::NotTls
                        | FailureKind::PlainHttp
                        | FailureKind::Network
                        | FailureKind::Tls
                ),
            }
    }

    /// Requests the manifest, with a token or a password once the registry asks for it.
    fn fetch_by(&mut self, scheme: Scheme) -> Result<Vec<u8>, EffectError> {
        let repository = self.permit.repository();
        let base = base_url(scheme, repository);
        let scope: Scope = (base.clone(), repository.path().to_owned());
        let origin = format!("{base}{}", repository.manifest_path(self.digest));
        let origin: Url = origin.parse().map_err(|error| unexpected(&error))?;
        let mut url = origin.clone();
        *self.authorization = self.client.tokens.known(&scope);
        let (mut challenges, mut redirects) = (0, 0);
        loop {
            let at_home = url.origin() == origin.origin();
            let authorization = self.authorization.clone().filter(|_| at_home);
            let answer = self.get(&url, authorization.as_deref())?;
            match answer.status().as_u16() {
                200 => return Ok(answer.body),
                401 if at_home && challenges < MAX_CHALLENGES => {
                    challenges += 1;
                    let next = self.authorize(&answer, &scope, &url, authorization.as_deref())?;
                    *self.authorization = Some(next.ok_or_else(|| self.status_failure(&answer))?);
                }
                301..=303 | 307 | 308 => {
                    redirects += 1;
                    if redirects > MAX_REDIRECTS {
                        let message = "too many redirects";
                        return Err(failure(FailureKind::UnexpectedAnswer, message));
                    }
                    url = self.follow(&answer, &url, &origin)?;
                }
                _ => return Err(self.status_failure(&answer)),
            }
        }
    }

    fn get(&mut self, url: &Url, authorization: Option<&str>) -> Result<Answer, EffectError> {
        *self.exchange = ExchangeRecord {
            endpoint: url.origin(),
            repository: Repository::of_manifest(url, self.digest)
                .map(|repository| repository.path().to_owned()),
            ..ExchangeRecord::default()
        };
        let (response, connection) = self.host.http.get(Get {
            url: &url.to_string(),
            accept: &ACCEPT,
            authorization,
            until: self.until,
            max_body: MAX_MANIFEST_SIZE,
        });
        if let Some(connection) = connection {
            self.exchange.peer = Some(connection.peer.to_string());
            self.exchange.tls = connection.tls;
        }
        let response = response.map_err(|error| self.failure(&error))?;
        let status = response.status().as_u16();
        // "Client sent an HTTP request to an HTTPS server", or something else.
        if (url.scheme(), status) != (Scheme::Http, 400) {
            best_effort(self.host.scheme.set(url.scheme()));
        }
        let answer = response.read().map_err(|error| self.failure(&error))?;
        self.exchange.status = Some(status);
        Ok(answer)
    }

    /// Whether requests may go to another host. A client certificate would go along.
    pub(super) fn may_leave_host(&self) -> bool {
        self.permit.redirects() == Redirects::AnyHost
            && self.permit.certificates().client().is_none()
    }

    /// Where a redirect leads to, if that may be asked: another host only without its
    /// credentials, and only where no registry is configured.
    fn follow(&self, answer: &Answer, from: &Url, origin: &Url) -> Result<Url, EffectError> {
        let refuse = |why: &dyn Display| {
            let message = format!("cannot follow the redirect: {why}");
            failure(FailureKind::UnexpectedAnswer, &message)
        };
        let location = answer.header(LOCATION);
        let location = location.ok_or_else(|| refuse(&"no valid Location"))?;
        let to = join(from, location).map_err(|error| refuse(&error))?;
        // Host and repository are recorded, and resolvers are asked for the host.
        let redactor = self.redactor();
        if redactor.may_have_secret(&to.to_string()) {
            return Err(refuse(&"it has credentials in it"));
        }
        let is_downgrade = from.scheme() == Scheme::Https && to.scheme() == Scheme::Http;
        let leaves = to.origin() != origin.origin() && !self.may_leave_host();
        if is_downgrade || leaves {
            let message = format!("the redirect to {} is not followed", to.origin());
            let message = redactor.redact(&message);
            return Err(failure(FailureKind::UnexpectedAnswer, &message));
        }
        Ok(to)
    }

    /// The failure of a request without an answer.
    pub(super) fn failure(&self, error: &ureq::Error) -> EffectError {
        let (kind, text) = explain(error);
        match kind {
            FailureKind::Timeout => self.timeout(),
            kind => failure(kind, &self.redact(&text)),
        }
    }

    pub(super) fn timeout(&self) -> EffectError {
        let timeout = humantime::format_duration(self.client.timeout);
        failure(FailureKind::Timeout, &format!("no answer within {timeout}"))
    }

    /// The text without credentials, in whatever way the registry repeats them.
    pub(super) fn redact(&self, text: &str) -> String {
        self.redactor().redact(text)
    }

    fn redactor(&self) -> Redactor {
        redactor(&SkopeoOptions {
            authorization: self.authorization.clone(),
            ..self.client.inputs.options.clone()
        })
    }

    /// The failure that a status tells, with the registry's own message.
    pub(super) fn status_failure(&self, answer: &Answer) -> EffectError {
        let status = answer.status();
        let mut message = format!("HTTP {}", status.as_str());
        if let Some(reason) = status.canonical_reason() {
            message = format!("{message} {reason}");
        }
        if let Some(text) = error_text(&answer.body) {
            message = format!("{message}: {}", self.redact(&text));
        }
        let kind = FailureKind::of_answer(status.as_u16());
        let wait = answer.header(RETRY_AFTER).filter(|_| kind.is_transient());
        if let Some(wait) = wait.and_then(|value| retry_after(value, SystemTime::now())) {
            *lock(&self.host.not_before) = Instant::now().checked_add(wait);
            let wait = humantime::format_duration(Duration::from_secs(wait.as_secs()));
            message = format!("{message}; retry after {wait}");
        }
        failure(kind, &message)
    }
}

fn kind(result: &Result<Vec<u8>, EffectError>) -> Option<FailureKind> {
    match result {
        Err(EffectError::Command { kind, .. }) => Some(*kind),
        _ => None,
    }
}

pub(super) fn unexpected(error: &dyn std::error::Error) -> EffectError {
    failure(FailureKind::UnexpectedAnswer, &error.to_string())
}

/// A redirect's target: an absolute URL, or one without scheme, or without host.
fn join(from: &Url, location: &str) -> Result<Url, UrlError> {
    if location.starts_with("//") {
        format!("{}:{location}", from.scheme().as_str()).parse()
    } else if location.starts_with('/') {
        format!("{}{location}", from.origin()).parse()
    } else {
        location.parse()
    }
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
