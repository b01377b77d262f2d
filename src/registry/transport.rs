//! ureq's connections over [`Socket`], with rustls where the scheme is HTTPS.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, Stream};
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

/// A use of a connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionUse {
    /// The address that was connected to.
    pub(super) peer: SocketAddr,
    /// The TLS session; `None` for plain HTTP.
    pub(super) tls: Option<TlsRecord>,
    /// Whether an earlier request has sent something over it, and received something.
    pub(super) kept: bool,
}

/// What is said of a server that answers a handshake in HTTP, as Go's server does.
pub(super) const PLAIN_HTTP: &str = "the server gave an HTTP answer to a TLS handshake";

thread_local! {
    /// The connection that this thread's request used last: ureq doesn't tell which it took.
    static LAST_USE: RefCell<Option<ConnectionUse>> = const { RefCell::new(None) };
}

/// The connection that this thread's last request used, if it came so far.
pub(super) fn take_last_use() -> Option<ConnectionUse> {
    LAST_USE.take()
}

/// Connects, and shakes hands where the scheme is HTTPS.
#[derive(Debug)]
pub(super) struct HttpConnector {
    pub(super) cancel: Arc<CancelToken>,
    pub(super) slots: Arc<Slots>,
    pub(super) tls: Arc<ClientConfig>,
}

/// A connection that ureq keeps.
#[derive(Debug)]
pub(super) struct HttpTransport {
    buffers: LazyBuffers,
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    next_use: ConnectionUse,
}

impl Connector for HttpConnector {
    type Out = HttpTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<HttpTransport>, ureq::Error> {
        let until = until(details.timeout);
        let mut socket = Socket::connect(&details.addrs, until, &self.cancel, &self.slots)?;
        let tls = match details.needs_tls() {
            true => Some(Box::new(handshake(&mut socket, details.uri, &self.tls)?)),
            false => None,
        };
        let config = details.config;
        Ok(Some(HttpTransport {
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            next_use: ConnectionUse {
                peer: socket.peer()?,
                tls: tls.as_deref().map(tls_record),
                kept: false,
            },
            socket,
            tls,
        }))
    }
}

fn handshake(
    socket: &mut Socket,
    uri: &Uri,
    config: &Arc<ClientConfig>,
) -> Result<ClientConnection, ureq::Error> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::clone(config), name);
    let mut connection = connection.map_err(io::Error::other)?;
    connection.write_tls(socket)?;
    if socket.peek()? == *b"HTTP/" {
        return Err(ureq::Error::Tls(PLAIN_HTTP));
    }
    while connection.is_handshaking() {
        connection.complete_io(socket)?;
    }
    Ok(connection)
}

fn tls_record(connection: &ClientConnection) -> TlsRecord {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        _ => "1.3",
    };
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    TlsRecord {
        certificate: Digest::of(certificate.map_or(&[], |certificate| certificate.as_ref())),
        version: version.to_owned(),
    }
}

impl Transport for HttpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        LAST_USE.set(Some(self.next_use.clone()));
        self.socket.set_until(until(timeout));
        let bytes = &self.buffers.output()[..amount];
        let Some(tls) = &mut self.tls else {
            return Ok(self.socket.write_all(bytes)?);
        };
        let mut stream = Stream::new(&mut **tls, &mut self.socket);
        stream.write_all(bytes)?;
        Ok(stream.flush()?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.socket.set_until(until(timeout));
        let buffer = self.buffers.input_append_buf();
        let read = match &mut self.tls {
            Some(tls) => Stream::new(&mut **tls, &mut self.socket).read(buffer)?,
            None => self.socket.read(buffer)?,
        };
        self.buffers.input_appended(read);
        self.next_use.kept |= read > 0;
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.socket.is_idle()
    }

    fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

/// The end of a wait.
pub(super) fn until(timeout: NextTimeout) -> Instant {
    let after = (*timeout.after).min(NO_TIMEOUT);
    Instant::now() + after
}
