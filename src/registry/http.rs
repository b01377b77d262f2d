//! One HTTP request: bounded in time, headers and body.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::CertificateError;
use skopeo_index_core::escape::truncate_message;
use skopeo_index_core::machine::{CancelReason, EffectError, FailureKind};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::header::{ACCEPT, AUTHORIZATION, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use ureq::http::{HeaderName, Response, StatusCode};

use super::resolver::{DnsError, SystemResolver};
use super::transport::{ConnectionUse, HttpConnector, take_last_use};
use crate::os::CancelToken;

/// Maximum size of an answer's headers in bytes: that of a Go registry's own limit for
/// requests would be 1 MiB; real answers have less than 4 KiB.
const MAX_HEADERS: usize = 64 << 10;

/// Maximum size of a request's headers in bytes: a token has at most 16 KiB.
const MAX_REQUEST: usize = 32 << 10;

/// How much is read of an error's body: it holds a message, and reading it to its end keeps
/// the connection.
pub(super) const MAX_ERROR_BODY: usize = 64 << 10;

/// Idle connections that are kept for a host: as many as there may be concurrent fetches.
const MAX_IDLE: usize = 1000;

/// How the program introduces itself.
const USER_AGENT: &str = concat!("skopeo-index/", env!("CARGO_PKG_VERSION"));

/// Sends requests over kept connections.
#[derive(Debug)]
pub(super) struct HttpClient {
    agent: Agent,
}

/// A request without a body.
#[derive(Clone, Copy)]
pub(super) struct Get<'a> {
    pub(super) url: &'a str,
    /// Values of the header `Accept`.
    pub(super) accept: &'a [&'a str],
    /// Value of the header `Authorization`.
    pub(super) authorization: Option<&'a str>,
    /// When the answer must have arrived.
    pub(super) until: Instant,
    /// Maximum size of the body of an answer with status 200.
    pub(super) max_body: usize,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response<()>,
    pub(super) body: Vec<u8>,
    pub(super) connection: Option<ConnectionUse>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The host has no address.
    #[error("{0}")]
    Dns(String),
    /// The connection could not be made, or broke.
    #[error("{0}")]
    Network(io::Error),
    /// The TLS handshake failed.
    #[error("{0}")]
    Tls(#[source] rustls::Error),
    /// The answer is not HTTP, or outside its limits.
    #[error("{0}")]
    Protocol(String),
    /// The body is larger than a manifest.
    #[error("more than {0} bytes")]
    TooLarge(usize),
    /// The time is over.
    #[error("no answer in time")]
    TimedOut,
}

impl HttpClient {
    pub(super) fn new(connector: HttpConnector) -> Self {
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(USER_AGENT)
            .max_response_header_size(MAX_HEADERS)
            // One byte more, which tells headers beyond the limit from a closed connection.
            .input_buffer_size(MAX_HEADERS + 1)
            .output_buffer_size(MAX_REQUEST)
            .max_idle_connections(MAX_IDLE)
            .max_idle_connections_per_host(MAX_IDLE)
            .build();
        let resolver = SystemResolver::new(Arc::clone(&connector.cancel));
        Self {
            agent: Agent::with_parts(config, connector, resolver),
        }
    }

    /// Sends a request, and once more over a new connection where a kept one was dead.
    pub(super) fn get(&self, request: Get<'_>) -> Result<Answer, HttpError> {
        take_last_use();
        let error = match self.send(request, Keep::Connections) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let was_kept = take_last_use().is_some_and(|connection| connection.kept);
        match error {
            HttpError::Network(_) if was_kept => self.send(request, Keep::Nothing),
            error => Err(error),
        }
    }

    fn send(&self, request: Get<'_>, keep: Keep) -> Result<Answer, HttpError> {
        let left = request.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HttpError::TimedOut);
        }
        let mut builder = self.agent.get(request.url);
        for accept in request.accept {
            builder = builder.header(ACCEPT, *accept);
        }
        if let Some(authorization) = request.authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let mut config = builder.config().timeout_global(Some(left));
        if keep == Keep::Nothing {
            config = config.max_idle_age(Duration::ZERO);
        }
        let response = config.build().call()?;
        let (parts, mut body) = response.into_parts();
        let max = match parts.status {
            StatusCode::OK => request.max_body,
            _ => MAX_ERROR_BODY,
        };
        let body = body.with_config().limit(max as u64).read_to_vec();
        let body = match body {
            // What an error says is not worth an error.
            Err(_) if parts.status != StatusCode::OK => Vec::new(),
            Err(ureq::Error::BodyExceedsLimit(_)) => return Err(HttpError::TooLarge(max)),
            body => body?,
        };
        Ok(Answer {
            response: Response::from_parts(parts, ()),
            body,
            connection: take_last_use(),
        })
    }
}

/// Which connections a request may use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Kept ones, or a new one.
    Connections,
    /// Only a new one.
    Nothing,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The values of `WWW-Authenticate`.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &str> {
        let values = self.response.headers().get_all(WWW_AUTHENTICATE);
        values.iter().filter_map(|value| value.to_str().ok())
    }

    pub(super) fn location(&self) -> Option<&str> {
        self.header(LOCATION)
    }

    pub(super) fn retry_after(&self) -> Option<&str> {
        self.header(RETRY_AFTER)
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

impl From<ureq::Error> for HttpError {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Io(error) => Self::of_io(error),
            ureq::Error::Timeout(_) => Self::TimedOut,
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl HttpError {
    fn of_io(error: io::Error) -> Self {
        if error.kind() == ErrorKind::TimedOut && error.raw_os_error().is_none() {
            return Self::TimedOut;
        }
        let source = error.get_ref();
        if let Some(tls) = source.and_then(|source| source.downcast_ref::<rustls::Error>()) {
            return Self::Tls(tls.clone());
        }
        if source.is_some_and(|source| source.is::<DnsError>()) {
            return Self::Dns(error.to_string());
        }
        Self::Network(error)
    }

    /// The kind of failure.
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Dns(_) | Self::Network(_) => FailureKind::Network,
            Self::Tls(error) => tls_kind(error),
            Self::Protocol(_) => FailureKind::UnexpectedAnswer,
            Self::TooLarge(_) => FailureKind::TooLarge,
            Self::TimedOut => FailureKind::Timeout,
        }
    }
}

const fn tls_kind(error: &rustls::Error) -> FailureKind {
    match error {
        rustls::Error::InvalidMessage(_) => FailureKind::NotTls,
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => FailureKind::TlsAuthority,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => FailureKind::TlsExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                FailureKind::TlsHostName
            }
            _ => FailureKind::Tls,
        },
        _ => FailureKind::Tls,
    }
}

/// The kind of failure that a status other than 200 tells.
pub(super) const fn status_kind(status: StatusCode) -> FailureKind {
    match status.as_u16() {
        401 | 403 => FailureKind::Authentication,
        404 | 410 => FailureKind::NotFound,
        407 => FailureKind::Proxy,
        429 => FailureKind::RateLimited,
        408 | 500..=599 => FailureKind::Server,
        _ => FailureKind::UnexpectedAnswer,
    }
}

/// A failed effect.
pub(super) fn failure(kind: FailureKind, message: &str) -> EffectError {
    EffectError::Command {
        kind,
        message: truncate_message(message),
    }
}

/// Cancellation, where the run is cancelled, in place of whatever failed by it.
pub(super) fn cancelled(cancel: &CancelToken) -> Option<EffectError> {
    let cancelled = |reason: CancelReason| EffectError::Cancelled { reason };
    cancel.cancelled().map(cancelled)
}
