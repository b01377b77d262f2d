//! A registry of manifests in this process.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use crate::loopback::Behaviour;

/// Reference of the connection itself, before any request, for [`Registry::behave`].
pub const CONNECT: &str = "";

/// Reference of the first request of a client, for [`Registry::behave`].
pub const PING: &str = "/v2/";

/// Path to which [`Behaviour::bearer`] sends clients.
pub const TOKEN: &str = "/token";

/// Serves manifests by plain HTTP, under any repository's name, until dropped.
pub struct Registry {
    address: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    manifests: Mutex<HashMap<String, Manifest>>,
    /// Connections that are being served.
    connections: Mutex<Vec<Weak<TcpStream>>>,
    stop: AtomicBool,
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
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound address").to_string();
        let shared = Arc::new(Shared::default());
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            address,
            shared,
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

    /// Number of requests for a reference.
    #[must_use]
    pub fn requests(&self, reference: &str) -> usize {
        self.shared
            .manifests()
            .get(reference)
            .map_or(0, |manifest| manifest.requests)
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

    /// The document of a reference, and the behaviour instead of serving it, if any.
    fn requested(&self, reference: &str) -> Option<(Vec<u8>, Option<Behaviour>)> {
        let mut manifests = self.manifests();
        let manifest = manifests.get_mut(reference)?;
        manifest.requests += 1;
        let next = manifest.next.pop_front();
        let behaviour = next.or_else(|| manifest.always.clone());
        Some((manifest.bytes.clone(), behaviour))
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Weak<TcpStream>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, connection: &Arc<TcpStream>) {
        let mut connections = self.connections();
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(connection));
    }
}

fn accept(listener: &TcpListener, shared: &Shared) {
    thread::scope(|scope| {
        for connection in listener.incoming().flatten() {
            if shared.stop.load(Ordering::SeqCst) {
                break;
            }
            let connection = Arc::new(connection);
            shared.remember(&connection);
            // An I/O error ends the connection only.
            scope.spawn(move || serve(&connection, shared));
        }
        for connection in shared.connections().iter().filter_map(Weak::upgrade) {
            // The client may have closed it.
            connection.shutdown(Shutdown::Both).ok();
        }
    });
}

/// First byte of a TLS connection (RFC 8446, section 5.1). Clients try TLS first, and
/// plain HTTP after an error.
const TLS_HANDSHAKE: u8 = 22;

/// Answers requests until the client closes the connection.
fn serve(mut connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    if let Some((_, Some(behaviour))) = shared.requested(CONNECT) {
        return behaviour.act("/", connection, &shared.stop);
    }
    let mut reader = BufReader::new(connection);
    if reader.fill_buf()?.first() == Some(&TLS_HANDSHAKE) {
        return write!(connection, "HTTP/1.0 400 Bad Request\r\n\r\n");
    }
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            header.clear();
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        answer(method, path, connection, shared)?;
    }
}

fn answer(method: &str, path: &str, mut to: &TcpStream, shared: &Shared) -> io::Result<()> {
    let place = path
        .split_once("/manifests/")
        .or_else(|| path.split_once("/blobs/"));
    let bare = path.split('?').next().unwrap_or(path);
    let reference = place.map_or(bare, |(_, reference)| reference);
    let Some((bytes, behaviour)) = shared.requested(reference) else {
        let unknown = match bare {
            PING => Behaviour::status("200 OK"),
            _ => Behaviour::not_found(),
        };
        return unknown.act(path, to, &shared.stop);
    };
    if let Some(behaviour) = behaviour {
        return behaviour.act(path, to, &shared.stop);
    }
    let written = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
    let written = written
        .as_ref()
        .and_then(|document| document.get("mediaType")?.as_str());
    let media_type = written.unwrap_or("application/vnd.oci.image.index.v1+json");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    let mut answer = head.into_bytes();
    if method == "GET" {
        answer.extend(bytes);
    }
    to.write_all(&answer)
}
