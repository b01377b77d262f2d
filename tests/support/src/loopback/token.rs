//! A fast registry with TLS and bearer tokens, in this process.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::samples::OCI_INDEX;
use super::{Certificate, PING, TOKEN};

/// The token that opens the registry.
const BEARER: &str = "opaque";

/// A registry with TLS 1.3, kept connections and bearer tokens. It lives as long as the
/// process.
pub struct TokenRegistry {
    address: String,
    shared: Arc<Shared>,
    dir: TempDir,
}

/// Numbers of connections and of requests by their kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// TLS connections.
    pub connections: usize,
    /// Requests for `/v2/`.
    pub pings: usize,
    /// Tokens that were issued.
    pub tokens: usize,
    /// Requests without the token, answered by 401.
    pub challenges: usize,
    /// Manifests that were sent.
    pub manifests: usize,
}

#[derive(Default)]
struct Shared {
    manifests: Mutex<HashMap<String, Vec<u8>>>,
    counts: Mutex<RequestCounts>,
}

/// What matters of a request.
#[derive(Default)]
struct Request {
    path: String,
    host: String,
    has_token: bool,
}

impl TokenRegistry {
    /// Starts a registry on a free port, with a certificate that no client trusts without
    /// its directory.
    ///
    /// # Panics
    /// Where no port is free, or openssl is missing.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Certificate::Valid.issue(dir.path());
        let certificate = CertificateDer::from_pem_file(dir.path().join("server.pem"));
        let key = PrivateKeyDer::from_pem_file(dir.path().join("key.pem"));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.expect("a certificate")],
                key.expect("a key"),
            );
        let config = Arc::new(config.expect("a certificate with its key"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound address").to_string();
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for connection in listener.incoming().flatten() {
                    let (shared, config) = (Arc::clone(&shared), Arc::clone(&config));
                    // An I/O error ends the connection only.
                    thread::spawn(move || serve(connection, config, &shared).ok());
                }
            }
        });
        Self {
            address,
            shared,
            dir,
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Directory for `--cert-dir`.
    #[must_use]
    pub fn cert_dir(&self) -> PathBuf {
        self.dir.path().join("certs")
    }

    /// Serves an index under its digest, and returns the digest.
    pub fn put(&self, index: Vec<u8>) -> String {
        let digest = super::digest(&index);
        lock(&self.shared.manifests).insert(digest.clone(), index);
        digest
    }

    /// The counts since the last call.
    pub fn take_counts(&self) -> RequestCounts {
        std::mem::take(&mut *lock(&self.shared.counts))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers requests until the client closes the connection.
fn serve(connection: TcpStream, config: Arc<ServerConfig>, shared: &Shared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    lock(&shared.counts).connections += 1;
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(tls, connection));
    while let Some(request) = Request::read(&mut stream)? {
        let answer = shared.answer(&request);
        stream.get_mut().write_all(&answer)?;
    }
    Ok(())
}

impl Request {
    /// Reads a request; `None` at the end of the connection.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut request = Self::default();
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        request.path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        loop {
            line.clear();
            if from.read_line(&mut line)? <= 2 {
                return Ok(Some(request));
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "host" => value.clone_into(&mut request.host),
                "authorization" => request.has_token = value == format!("Bearer {BEARER}"),
                _ => {}
            }
        }
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Vec<u8> {
        let mut counts = lock(&self.counts);
        let json = "application/json";
        let bare = request.path.split('?').next().unwrap_or_default();
        if bare == TOKEN {
            counts.tokens += 1;
            let token = format!("{{\"token\":\"{BEARER}\",\"expires_in\":300}}");
            return response("200 OK", json, "", token.as_bytes());
        }
        if bare == PING {
            counts.pings += 1;
        }
        if !request.has_token {
            counts.challenges += 1;
            // The client may see the registry at the address of a relay.
            let realm = format!("https://{}{TOKEN}", request.host);
            let scope = bare
                .strip_prefix("/v2/")
                .and_then(|path| path.split_once("/manifests/"))
                .map_or_else(String::new, |(repository, _)| {
                    format!(",scope=\"repository:{repository}:pull\"")
                });
            let challenge = format!(
                "WWW-Authenticate: Bearer realm=\"{realm}\",service=\"loopback\"{scope}\r\n"
            );
            return response("401 Unauthorized", json, &challenge, b"{}");
        }
        if bare == PING {
            return response("200 OK", json, "", b"{}");
        }
        let digest = bare.rsplit('/').next().unwrap_or_default();
        match lock(&self.manifests).get(digest) {
            Some(index) => {
                counts.manifests += 1;
                response("200 OK", OCI_INDEX, "", index)
            }
            None => response("404 Not Found", json, "", b"{\"errors\":[]}"),
        }
    }
}

fn response(status: &str, media_type: &str, header: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n{header}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
