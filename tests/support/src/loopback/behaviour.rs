//! Misbehaviours of a registry.

use std::io::{self, Write};
use std::net::TcpStream;
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
}

/// Time between two bytes of [`Behaviour::SlowDrip`].
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
        let mut error = Self::unauthorized();
        if let Self::Status { headers, .. } = &mut error {
            *headers = vec![format!(
                "WWW-Authenticate: Bearer realm=\"http://{registry}{}\",service=\"loopback\"",
                crate::loopback::TOKEN
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

    pub(crate) fn act(&self, path: &str, mut to: &TcpStream, stop: &AtomicBool) -> io::Result<()> {
        match self {
            Self::Status {
                status,
                headers,
                body,
            } => {
                let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
                write!(
                    to,
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            Self::EndlessBody => {
                write!(
                    to,
                    "HTTP/1.1 200 OK\r\nContent-Type: {INDEX}\r\nConnection: close\r\n\r\n"
                )?;
                loop {
                    to.write_all(&[b' '; 1 << 16])?;
                }
            }
            Self::CutShort => {
                write!(
                    to,
                    "HTTP/1.1 200 OK\r\nContent-Type: {INDEX}\r\nContent-Length: 900\r\n\r\n{{\"sch"
                )?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Self::SlowDrip => {
                write!(
                    to,
                    "HTTP/1.1 200 OK\r\nContent-Type: {INDEX}\r\nContent-Length: 90000\r\n\r\n"
                )?;
                while !stop.load(Ordering::Relaxed) {
                    to.write_all(b" ")?;
                    thread::sleep(DRIP);
                }
                Ok(())
            }
            // Until the client or the registry closes the connection.
            Self::Silence => io::copy(&mut to, &mut io::sink()).map(|_| ()),
            Self::HangUp => Err(io::ErrorKind::ConnectionAborted.into()),
            Self::RedirectLoop => write!(
                to,
                "HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n"
            ),
        }
    }
}

/// Media type of bodies that are not documents.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
