//! One HTTP request: bounded in time, headers and body.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{AlertDescription, CertificateError};
use skopeo_index_core::escape::truncate_message;
use skopeo_index_core::machine::{EffectError, FailureKind};
use ureq::config::Config;
use ureq::http::header::{ACCEPT, AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use ureq::http::{StatusCode, response};
use ureq::{Agent, Body, Error, Timeout};

use super::resolver::SystemResolver;
use super::transport::{ConnectionUse, HttpConnector, PLAIN_HTTP, take_last_use};

/// Maximum size of an answer's headers in bytes. Real ones have less than 4 KiB.
const MAX_HEADERS: usize = 64 << 10;

/// Maximum size of a request's headers in bytes: a token has at most 16 KiB.
const MAX_REQUEST: usize = 32 << 10;

/// How much is read of an error's body: it holds a message, and reading it to its end keeps
/// the connection.
const MAX_ERROR_BODY: usize = 64 << 10;

/// Idle connections that are kept for a host: as many as there may be concurrent fetches.
const MAX_IDLE: usize = 1000;

/// How long an idle connection is kept: servers close them soon after.
const MAX_IDLE_AGE: Duration = Duration::from_secs(15);

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

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Response {
    head: response::Parts,
    body: Body,
    max_body: usize,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    head: response::Parts,
    pub(super) body: Vec<u8>,
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
    /// Also returns the connection, if the request was sent.
    pub(super) fn get(&self, request: Get<'_>) -> (Result<Response, Error>, Option<ConnectionUse>) {
        take_last_use();
        let response = self.send(request, MAX_IDLE_AGE);
        let connection = take_last_use();
        let is_kept = connection.as_ref().is_some_and(|it| it.kept);
        match response {
            Err(error) if is_kept && explain(&error).0 == FailureKind::Network => {
                (self.send(request, Duration::ZERO), take_last_use())
            }
            response => (response, connection),
        }
    }

    /// Sends a request over a connection that was idle for `max_idle_age` at most, or a new one.
    fn send(&self, request: Get<'_>, max_idle_age: Duration) -> Result<Response, Error> {
        let left = request.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Timeout(Timeout::Global));
        }
        let mut builder = self.agent.get(request.url);
        for accept in request.accept {
            builder = builder.header(ACCEPT, *accept);
        }
        if let Some(authorization) = request.authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let config = builder.config().timeout_global(Some(left));
        let response = config.max_idle_age(max_idle_age).build().call()?;
        let (head, body) = response.into_parts();
        let max_body = match head.status {
            StatusCode::OK => request.max_body,
            _ => MAX_ERROR_BODY,
        };
        Ok(Response {
            head,
            body,
            max_body,
        })
    }
}

impl Response {
    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Reads the body.
    pub(super) fn read(mut self) -> Result<Answer, Error> {
        let body = self.body.with_config().limit(self.max_body as u64);
        let body = body.read_to_vec();
        Ok(Answer {
            body: match self.head.status {
                StatusCode::OK => body?,
                // What an error says is not worth an error.
                _ => body.unwrap_or_default(),
            },
            head: self.head,
        })
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The values of `WWW-Authenticate`.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &str> {
        let values = self.head.headers.get_all(WWW_AUTHENTICATE);
        values.iter().filter_map(|value| value.to_str().ok())
    }

    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

/// The kind of failure of a request without an answer, and what to say of it.
pub(super) fn explain(error: &Error) -> (FailureKind, String) {
    match error {
        Error::Io(error) => match tls_error(error) {
            Some(error) => (tls_kind(error), tls_text(error)),
            None => (io_kind(error), error.to_string()),
        },
        Error::Timeout(_) => (FailureKind::Timeout, "no answer in time".to_owned()),
        Error::Tls(PLAIN_HTTP) => (FailureKind::PlainHttp, PLAIN_HTTP.to_owned()),
        Error::BodyExceedsLimit(max) => (FailureKind::TooLarge, format!("more than {max} bytes")),
        // The answer is not HTTP, or outside its limits.
        other => (FailureKind::UnexpectedAnswer, other.to_string()),
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn io_kind(error: &io::Error) -> FailureKind {
    match error.kind() == ErrorKind::TimedOut && error.raw_os_error().is_none() {
        true => FailureKind::Timeout,
        false => FailureKind::Network,
    }
}

/// What to say of a TLS error; some of rustls's texts are for programmers.
fn tls_text(error: &rustls::Error) -> String {
    let text = match error {
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks neither TLS 1.2 nor TLS 1.3"
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server requires a client certificate"
        }
        rustls::Error::InconsistentKeys(_) => {
            "the client certificate and the key are not of one pair"
        }
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::BadSignature => {
                "the certificate has an invalid signature, or one by a key that is too short"
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "the certificate is not that of a server"
            }
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                "the certificate has a signature by an unsupported algorithm"
            }
            CertificateError::Other(error) => {
                return format!("the certificate is not accepted: {}", error.0);
            }
            _ => return error.to_string(),
        },
        _ => return error.to_string(),
    };
    text.to_owned()
}

fn tls_kind(error: &rustls::Error) -> FailureKind {
    match error {
        rustls::Error::InvalidMessage(_) => FailureKind::NotTls,
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => FailureKind::TlsAuthority,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => FailureKind::TlsExpired,
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                FailureKind::TlsNoSan
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                FailureKind::TlsHostName
            }
            // Rules of webpki alone: Go takes an authority's own certificate for a server's.
            CertificateError::Other(_) => FailureKind::RegistryClient,
            _ => FailureKind::Tls,
        },
        _ => FailureKind::Tls,
    }
}

/// A failed effect.
pub(super) fn failure(kind: FailureKind, message: &str) -> EffectError {
    EffectError::Command {
        kind,
        message: truncate_message(message),
    }
}
