//! Messages over a `SOCK_SEQPACKET` socket: in the packet itself, or in an attached memfd if
//! they are too long for one.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::MemfdFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketType, recv, recvmsg, sendmsg, sockopt,
};

use crate::os::{self, open_regular};

/// The packet that announces a message in the first attached descriptor.
const VIA_FD: &[u8] = b"<args-via-fd>";

/// Limit of the descriptors of a packet (the kernel's `SCM_MAX_FD`).
const MAX_FDS: usize = 253;

/// Limit of an attached file in bytes: more than a manifest with a million items has.
const MAX_MESSAGE: u64 = 64 << 20;

/// This process's end of the host's socket.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// A message and its attached descriptors, which are closed on drop.
#[derive(Debug)]
pub struct Message {
    json: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Message {
    /// The bytes of the message, which should be JSON.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Reads the first attached file, if any.
    ///
    /// # Errors
    /// [`ChannelError::Descriptor`] if reading fails.
    pub fn attached(&self) -> Result<Option<Vec<u8>>, ChannelError> {
        let read = self.descriptors.first().map(read_attached).transpose();
        read.map_err(ChannelError::Descriptor)
    }
}

/// Why sending or receiving failed.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The host closed the connection, perhaps before it read everything.
    #[error("the host hung up")]
    HungUp,
    /// The socket failed, so that the host can't be reached any more.
    #[error("cannot use the host's socket: {0}")]
    Socket(io::Error),
    /// The packet is invalid; the next one may be valid.
    #[error("invalid packet: {0}")]
    Packet(&'static str),
    /// The attached file is not readable, or is too large.
    #[error("cannot read the file attached to the message: {0}")]
    Descriptor(io::Error),
}

impl From<io::Error> for ChannelError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::HungUp,
            _ => Self::Socket(error),
        }
    }
}

impl From<Errno> for ChannelError {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl Channel {
    /// Takes ownership of the inherited descriptor `number`.
    ///
    /// # Errors
    /// If it is not open, or not a `SOCK_SEQPACKET` socket.
    pub fn inherited(number: RawFd) -> io::Result<Self> {
        Self::new(os::take_inherited_fd(number)?)
    }

    /// Wraps a connected socket, and makes it blocking.
    ///
    /// # Errors
    /// If it is not a `SOCK_SEQPACKET` socket.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        if sockopt::socket_type(&socket)? != SocketType::SEQPACKET {
            return Err(io::Error::other("not a SOCK_SEQPACKET socket"));
        }
        // The host may have set O_NONBLOCK; `receive` and `send` wait.
        let flags = rustix::fs::fcntl_getfl(&socket)?;
        rustix::fs::fcntl_setfl(&socket, flags - rustix::fs::OFlags::NONBLOCK)?;
        Ok(Self { socket })
    }

    /// Waits for the next message; `None` once the host has closed the connection.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] if the host closed without reading everything. After
    /// [`ChannelError::Packet`] and [`ChannelError::Descriptor`] the packet is consumed, and
    /// the next one can be received.
    pub fn receive(&self) -> Result<Option<Message>, ChannelError> {
        // Ask for the size first, without copying any bytes.
        let (_, size) = retry_on_intr(|| {
            let mut empty = [0_u8; 0];
            let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
            recv(&self.socket, &mut empty[..], flags)
        })?;
        let mut bytes = vec![0; size];
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            recvmsg(
                &self.socket,
                &mut slices,
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            )
        })?;
        let rights = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let descriptors: Vec<OwnedFd> = rights.flatten().collect();
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(ChannelError::Packet("truncated"));
        }
        bytes.truncate(received.bytes);
        let message = Message {
            json: bytes,
            descriptors,
        };
        match message.json() {
            [] => Ok(None),
            VIA_FD => match message.attached()? {
                // Methods use no descriptors besides the message's own.
                Some(json) => Ok(Some(Message {
                    json,
                    descriptors: Vec::new(),
                })),
                None => Err(ChannelError::Packet("the attached file is missing")),
            },
            _ => Ok(Some(message)),
        }
    }

    /// Sends a message, in an attached memfd if it is too long for a packet.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] if the host closed the connection.
    pub fn send(&self, message: &[u8]) -> Result<(), ChannelError> {
        let sent = match self.send_packet(message, &[]) {
            // The message exceeds the socket's buffer.
            Err(Errno::MSGSIZE | Errno::NOBUFS) => {
                self.send_packet(VIA_FD, &[memfd(message)?.as_fd()])
            }
            sent => sent,
        };
        Ok(sent?)
    }

    fn send_packet(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(Errno::NOBUFS);
        }
        let slices = [IoSlice::new(bytes)];
        retry_on_intr(|| sendmsg(&self.socket, &slices, &mut ancillary, SendFlags::NOSIGNAL))?;
        Ok(())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Writes a message to an anonymous file.
fn memfd(message: &[u8]) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("message", MemfdFlags::CLOEXEC)?);
    file.write_all(message)?;
    // The receiver shares the file offset, and reads from it.
    file.rewind()?;
    Ok(file)
}

/// Reads an attached file or memfd, as long as it is now. It is opened again, so that the
/// host's offset and flags stay, and nothing waits: a pipe or a device is rejected, and a
/// file of procfs, which is empty by its length, gives nothing.
fn read_attached(descriptor: &OwnedFd) -> io::Result<Vec<u8>> {
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let file = open_regular(Path::new(&path))?;
    let length = file.metadata()?.len();
    if length > MAX_MESSAGE {
        let error = format!("larger than the limit of {MAX_MESSAGE} bytes");
        return Err(io::Error::other(error));
    }
    // At most the limit: it fits.
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
