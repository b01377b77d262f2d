//! The connections of a registry.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;

use rustls::{ServerConnection, StreamOwned};

use super::registry::{CONNECT, PING, Shared};
use crate::loopback::Behaviour;

/// A request that a registry received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Path and query.
    pub target: String,
    /// Value of the header `Authorization`.
    pub authorization: Option<String>,
}

/// Accepts connections until the registry stops, and then closes all of them.
pub(super) fn accept(listener: &TcpListener, shared: &Shared) {
    thread::scope(|scope| {
        for connection in listener.incoming().flatten() {
            if shared.stop.load(Ordering::SeqCst) {
                break;
            }
            let connection = Arc::new(connection);
            shared.remember(&connection);
            shared.received().1 += 1;
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
        return behaviour.act("/", &mut connection, &shared.stop);
    }
    if let Some(tls) = &shared.tls {
        let session = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
        return serve_http(StreamOwned::new(session, connection), shared);
    }
    let mut first = [0];
    if connection.peek(&mut first)? == 1 && first == [TLS_HANDSHAKE] {
        return write!(connection, "HTTP/1.0 400 Bad Request\r\n\r\n");
    }
    serve_http(connection, shared)
}

fn serve_http(connection: impl Read + Write, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let (mut header, mut authorization) = (String::new(), None);
        while reader.read_line(&mut header)? > 2 {
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("authorization")
            {
                authorization = Some(value.trim().to_owned());
            }
            header.clear();
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let received = Received {
            target: path.to_owned(),
            authorization,
        };
        shared.received().0.push(received.clone());
        let connection = reader.get_mut();
        match shared.challenge(&received) {
            Some(challenge) => challenge.act(path, connection, &shared.stop)?,
            None => answer(method, path, connection, shared)?,
        }
    }
}

fn answer(
    method: &str,
    path: &str,
    to: &mut (impl Read + Write),
    shared: &Shared,
) -> io::Result<()> {
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
    to.write_all(&answer)?;
    to.flush()
}
