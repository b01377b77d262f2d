//! Misbehaviours of a registry.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// An answer other than the document.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// A status with a body.
    Status {
        /// Like `404 Not Found`.
        status: &'static str,
        /// Like `Retry-After: 1`.
        headers: Vec<String>,
        /// For example, JSON errors of a registry.
        body: String,
    },
    /// A body without an end.
    EndlessBody,
    /// A part of the announced body.
    CutShort,
    /// The announced body, a byte at a time.
    SlowDrip,
    /// No answer.
    Silence,
    /// A redirect to the same path.
    RedirectLoop,
    /// The connection is closed.
    HangUp,
    /// These bytes, HTTP or not, and what comes after them.
    Bytes(Vec<u8>, Then),
}

/// What follows the bytes of [`Behaviour::Bytes`].
#[derive(Clone, Debug)]
pub enum Then {
    /// The next request.
    Keep,
    /// The connection is closed.
    Close,
    /// Silence.
    Silence,
    /// These bytes, again and again.
    Repeat(Vec<u8>),
    /// One byte, again and again, slowly.
    Drip(u8),
}

/// Time between two bytes of a slow drip.
const DRIP: Duration = Duration::from_millis(200);

impl Behaviour {
    /// A status with a registry's JSON error.
    #[must_use]
    pub fn error(status: &'static str, code: &str, message: &str) -> Self {
        let errors = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self::Status {
            status,
            headers: Vec::new(),
            body: errors.to_string(),
        }
    }

    /// 429, with or without `Retry-After`.
    #[must_use]
    pub fn too_many_requests(retry_after: Option<u32>) -> Self {
        let mut error = Self::error("429 Too Many Requests", "TOOMANYREQUESTS", "slow down");
        if let (Self::Status { headers, .. }, Some(seconds)) = (&mut error, retry_after) {
            headers.push(format!("Retry-After: {seconds}"));
        }
        error
    }

    /// 401, with a challenge that no credentials satisfy.
    #[must_use]
    pub fn unauthorized() -> Self {
        let mut error = Self::error(
            "401 Unauthorized",
            "UNAUTHORIZED",
            "authentication required",
        );
        if let Self::Status { headers, .. } = &mut error {
            headers.push("WWW-Authenticate: Basic realm=\"loopback\"".to_owned());
        }
        error
    }

    /// 401, with the address of a token: path [`crate::loopback::TOKEN`] of a registry.
    #[must_use]
    pub fn bearer(registry: &str) -> Self {
        Self::bearer_at(&format!("http://{registry}{}", crate::loopback::TOKEN))
    }

    /// 401, with any address of a token.
    #[must_use]
    pub fn bearer_at(realm: &str) -> Self {
        let mut error = Self::unauthorized();
        if let Self::Status { headers, .. } = &mut error {
            *headers = vec![format!(
                "WWW-Authenticate: Bearer realm=\"{realm}\",service=\"loopback\""
            )];
        }
        error
    }

    /// 404, with a registry's error.
    #[must_use]
    pub fn not_found() -> Self {
        Self::error("404 Not Found", "MANIFEST_UNKNOWN", "manifest unknown")
    }

    /// A status without a body.
    #[must_use]
    pub const fn status(status: &'static str) -> Self {
        Self::Status {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::Status {
            status: "307 Temporary Redirect",
            headers: vec![format!("Location: {location}")],
            body: String::new(),
        }
    }

    /// The head of an answer of this length, and what comes after it.
    #[must_use]
    pub fn head(length: usize, then: Then) -> Self {
        let head = format!("{OK}Content-Length: {length}\r\n\r\n");
        Self::Bytes(head.into_bytes(), then)
    }

    pub(crate) fn act(
        &self,
        path: &str,
        to: &mut (impl Read + Write),
        stop: &AtomicBool,
    ) -> io::Result<()> {
        let (head, then) = match self {
            Self::Status {
                status,
                headers,
                body,
            } => {
                let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                (head, Then::Keep)
            }
            Self::EndlessBody => {
                let head = format!("{OK}Connection: close\r\n\r\n");
                (head, Then::Repeat(vec![b' '; 1 << 16]))
            }
            Self::CutShort => {
                let head = format!("{OK}Content-Length: 900\r\n\r\n{{\"sch");
                (head, Then::Close)
            }
            Self::SlowDrip => {
                let head = format!("{OK}Content-Length: 90000\r\n\r\n");
                (head, Then::Drip(b' '))
            }
            Self::Silence => (String::new(), Then::Silence),
            Self::HangUp => (String::new(), Then::Close),
            Self::RedirectLoop => {
                let redirect = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ";
                (format!("{redirect}{path}\r\n\r\n"), Then::Keep)
            }
            Self::Bytes(bytes, then) => return then.act(bytes, to, stop),
        };
        then.act(head.as_bytes(), to, stop)
    }
}

impl Then {
    fn act(&self, first: &[u8], to: &mut (impl Read + Write), stop: &AtomicBool) -> io::Result<()> {
        to.write_all(first)?;
        to.flush()?;
        match self {
            Self::Keep => Ok(()),
            Self::Close => Err(io::ErrorKind::ConnectionAborted.into()),
            // Until the client or the registry closes the connection.
            Self::Silence => io::copy(to, &mut io::sink()).map(|_| ()),
            Self::Repeat(bytes) => loop {
                to.write_all(bytes)?;
            },
            Self::Drip(byte) => {
                while !stop.load(Ordering::Relaxed) {
                    to.write_all(&[*byte])?;
                    to.flush()?;
                    thread::sleep(DRIP);
                }
                Ok(())
            }
        }
    }
}

/// Begin of an answer whose body is not the document.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\n";
