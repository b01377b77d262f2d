//! TCP connections whose every wait ends at a deadline or at cancellation.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use super::slots::Slots;
use crate::os::{CancelToken, timespec};

/// Head start of an address before the next one is tried as well, so that a dead IPv6 or
/// IPv4 route costs no timeout (RFC 8305, section 5: "Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A connected, non-blocking TCP socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    cancel: Arc<CancelToken>,
    slots: Arc<Slots>,
    /// The end of the present wait.
    until: Instant,
}

impl Socket {
    /// Connects to the first address that answers.
    pub(super) fn connect(
        addresses: &[SocketAddr],
        until: Instant,
        cancel: &Arc<CancelToken>,
        slots: &Arc<Slots>,
    ) -> io::Result<Self> {
        let stream = race(addresses, until, cancel)?;
        stream.set_nodelay(true)?;
        slots.progress();
        Ok(Self {
            stream,
            cancel: Arc::clone(cancel),
            slots: Arc::clone(slots),
            until,
        })
    }

    /// The address of the other end.
    pub(super) fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Sets the end of the waits that follow.
    pub(super) const fn set_until(&mut self, until: Instant) {
        self.until = until;
    }

    /// The first bytes that arrive; they stay unread.
    pub(super) fn peek(&self) -> io::Result<[u8; 5]> {
        self.wait(PollFlags::IN)?;
        let mut start = [0; 5];
        self.stream.peek(&mut start)?;
        Ok(start)
    }

    /// Whether an idle connection can be used: it was not closed, and nothing arrived that
    /// was not asked for.
    pub(super) fn is_idle(&self) -> bool {
        let peeked = self.stream.peek(&mut [0]);
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        let fds = [PollFd::new(&self.stream, flags)];
        wait(&fds, self.until, &self.cancel).map(drop)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::IN)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => {
                    self.slots.progress();
                    // A stream that never pauses never waits.
                    check(self.until, &self.cancel)?;
                    return result;
                }
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::OUT)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Connects to the addresses in their order, each with a head start, until one answers.
fn race(addresses: &[SocketAddr], until: Instant, cancel: &CancelToken) -> io::Result<TcpStream> {
    let mut next = addresses.iter();
    let mut attempts: Vec<OwnedFd> = Vec::new();
    let mut last_error = io::Error::from(ErrorKind::AddrNotAvailable);
    loop {
        match next.next().map(start_connect) {
            Some(Ok(socket)) => attempts.push(socket),
            Some(Err(error)) => {
                last_error = error;
                continue;
            }
            None if attempts.is_empty() => return Err(last_error),
            None => {}
        }
        let wait_until = match next.as_slice() {
            [] => until,
            _ => until.min(Instant::now() + ATTEMPT_DELAY),
        };
        let fds = attempts.iter();
        let fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::OUT)).collect();
        let ready = match wait(&fds, wait_until, cancel) {
            // The head start is over.
            Err(error) if error.kind() == ErrorKind::TimedOut && Instant::now() < until => continue,
            ready => ready?,
        };
        let socket = attempts.remove(ready);
        match sockopt::socket_error(&socket)? {
            Ok(()) => return Ok(socket.into()),
            Err(error) => last_error = error.into(),
        }
    }
}

fn start_connect(address: &SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Waits until a descriptor is ready, and returns its position.
fn wait(fds: &[PollFd<'_>], until: Instant, cancel: &CancelToken) -> io::Result<usize> {
    loop {
        let left = cancel.time_left(check(until, cancel)?);
        let mut fds = fds.to_vec();
        fds.push(PollFd::new(cancel, PollFlags::IN));
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // The next round sees the cancellation.
        fds.pop();
        if let Some(ready) = fds.iter().position(|fd| !fd.revents().is_empty()) {
            return Ok(ready);
        }
    }
}

/// The time left; an error once it is over, or the run is cancelled.
fn check(until: Instant, cancel: &CancelToken) -> io::Result<Duration> {
    cancel.check().map_err(io::Error::other)?;
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}
