//! ureq's connections over [`Socket`], with rustls where the scheme is HTTPS.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, StreamOwned};
use skopeo_index_core::audit::TlsRecord;
use skopeo_index_core::digest::Digest;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::slots::Slots;
use super::socket::Socket;
use crate::os::CancelToken;

/// A timeout that ureq doesn't set; every request has one.
const NO_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Both ends of a connection, as a record tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The address that was connected to.
    pub(super) peer: SocketAddr,
    /// The TLS session; `None` for plain HTTP.
    pub(super) tls: Option<TlsRecord>,
}

/// A use of a connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionUse {
    pub(super) endpoint: Arc<Endpoint>,
    /// Whether an earlier request used the connection.
    pub(super) kept: bool,
}

thread_local! {
    /// The connection that this thread's request used last: ureq doesn't tell which it took.
    static LAST_USE: RefCell<Option<ConnectionUse>> = const { RefCell::new(None) };
}

/// The connection that this thread's last request used, if it came so far.
pub(super) fn take_last_use() -> Option<ConnectionUse> {
    LAST_USE.take()
}

/// Connects, and shakes hands where the scheme is HTTPS.
pub(super) struct HttpConnector {
    pub(super) cancel: Arc<CancelToken>,
    pub(super) slots: Arc<Slots>,
    pub(super) tls: Arc<ClientConfig>,
}

/// A connection that ureq keeps.
pub(super) struct HttpTransport {
    buffers: LazyBuffers,
    stream: Stream,
    endpoint: Arc<Endpoint>,
    /// Whether it has sent a request and received some of an answer.
    answered: bool,
}

enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Connector for HttpConnector {
    type Out = HttpTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<HttpTransport>, ureq::Error> {
        let until = until(details.timeout);
        let socket = Socket::connect(&details.addrs, until, &self.cancel, &self.slots)?;
        let peer = socket.peer();
        let (stream, tls) = if details.needs_tls() {
            let (stream, tls) = handshake(socket, details.uri, &self.tls)?;
            (Stream::Tls(Box::new(stream)), Some(tls))
        } else {
            (Stream::Plain(socket), None)
        };
        let config = details.config;
        Ok(Some(HttpTransport {
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            stream,
            endpoint: Arc::new(Endpoint { peer, tls }),
            answered: false,
        }))
    }
}

fn handshake(
    socket: Socket,
    uri: &Uri,
    config: &Arc<ClientConfig>,
) -> io::Result<(StreamOwned<ClientConnection, Socket>, TlsRecord)> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::clone(config), name);
    let mut stream = StreamOwned::new(connection.map_err(io::Error::other)?, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let version = match stream.conn.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        _ => "1.3",
    };
    let certificate = stream
        .conn
        .peer_certificates()
        .and_then(|chain| chain.first());
    let tls = TlsRecord {
        certificate: Digest::of(certificate.map_or(&[], |certificate| certificate.as_ref())),
        version: version.to_owned(),
    };
    Ok((stream, tls))
}

impl HttpTransport {
    fn socket(&mut self) -> &mut Socket {
        match &mut self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Transport for HttpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        LAST_USE.set(Some(ConnectionUse {
            endpoint: Arc::clone(&self.endpoint),
            kept: self.answered,
        }));
        self.socket().set_until(until(timeout));
        let bytes = &self.buffers.output()[..amount];
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes)?,
            Stream::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()?;
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.socket().set_until(until(timeout));
        let buffer = self.buffers.input_append_buf();
        let read = match &mut self.stream {
            Stream::Plain(socket) => socket.read(buffer)?,
            Stream::Tls(stream) => stream.read(buffer)?,
        };
        self.buffers.input_appended(read);
        self.answered |= read > 0;
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.socket().is_idle()
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }
}

/// The end of a wait.
pub(super) fn until(timeout: NextTimeout) -> Instant {
    let after = (*timeout.after).min(NO_TIMEOUT);
    Instant::now() + after
}

impl fmt::Debug for HttpConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpConnector")
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.endpoint, f)
    }
}
