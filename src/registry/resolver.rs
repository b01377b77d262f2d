//! Addresses of host names.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::transport::until;
use crate::os::{CancelToken, best_effort, lock};

/// How often a wait for a name's addresses looks at cancellation.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long addresses are used: ureq asks for them before each request, also for one over a
/// kept connection.
const MAX_AGE: Duration = Duration::from_secs(30);

/// How many addresses ureq takes.
const MAX_ADDRESSES: usize = 16;

/// Looks up host names with the system's resolver, which can't be cancelled: it has a
/// thread of its own, which is left alone when the wait ends.
#[derive(Debug)]
pub(super) struct SystemResolver {
    cancel: Arc<CancelToken>,
    known: Mutex<HashMap<(String, u16), Known>>,
}

/// Addresses, and when they were looked up.
#[derive(Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

impl SystemResolver {
    pub(super) fn new(cancel: Arc<CancelToken>) -> Self {
        Self {
            cancel,
            known: Mutex::default(),
        }
    }

    fn look_up(&self, host: &str, port: u16, until: Instant) -> io::Result<Vec<SocketAddr>> {
        let name = (host.to_owned(), port);
        let is_recent = |known: &&Known| known.at.elapsed() < MAX_AGE;
        if let Some(known) = lock(&self.known).get(&name).filter(is_recent) {
            return Ok(known.addresses.clone());
        }
        let addresses = self.ask_system(name.clone(), until)?;
        let known = Known {
            addresses: addresses.clone(),
            at: Instant::now(),
        };
        lock(&self.known).insert(name, known);
        Ok(addresses)
    }

    fn ask_system(&self, name: (String, u16), until: Instant) -> io::Result<Vec<SocketAddr>> {
        let (sender, found) = mpsc::channel();
        let look_up = move || {
            let addresses = (name.0.as_str(), name.1).to_socket_addrs();
            // The wait may have ended.
            best_effort(sender.send(addresses.map(Iterator::collect)));
        };
        thread::Builder::new().spawn(look_up)?;
        loop {
            self.cancel.check().map_err(io::Error::other)?;
            let left = until.saturating_duration_since(Instant::now());
            match found.recv_timeout(left.min(POLL_INTERVAL)) {
                Ok(addresses) => return addresses,
                Err(_) if left.is_zero() => return Err(ErrorKind::TimedOut.into()),
                Err(_) => {}
            }
        }
    }
}

impl Resolver for SystemResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let default_port = match uri.scheme_str() {
            Some("http") => 80,
            _ => 443,
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let found = match host.parse() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.look_up(host, port, until(timeout))?,
        };
        let mut addresses = self.empty();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            addresses.push(address);
        }
        Ok(addresses)
    }
}
