//! Latency between a client and a registry.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Forwards connections to a registry. Each byte takes `latency` each way; latencies of
/// successive bytes overlap. The kernel connects at once, so the round trip of a TCP
/// handshake is added to the first bytes of the client, which speaks first.
pub struct Relay {
    address: String,
}

impl Relay {
    /// Starts a relay, which lives as long as the process.
    ///
    /// # Panics
    /// Where no port is free.
    #[must_use]
    pub fn to(registry: &str, latency: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound address").to_string();
        let registry = registry.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(&registry) {
                    // An I/O error ends the connection only.
                    let now = Instant::now();
                    forward(&client, &server, latency, now + 2 * latency).ok();
                    forward(&server, &client, latency, now).ok();
                }
            }
        });
        Self { address }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Forwards one direction, in two threads. No byte leaves before `established`.
fn forward(
    from: &TcpStream,
    to: &TcpStream,
    latency: Duration,
    established: Instant,
) -> std::io::Result<()> {
    to.set_nodelay(true)?;
    let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let due = Instant::now().max(established) + latency;
            if send.send((due, buffer[..n].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receive {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // The other side may have closed it.
        to.shutdown(Shutdown::Write).ok();
    });
    Ok(())
}
