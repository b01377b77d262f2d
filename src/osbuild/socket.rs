//! JSON in packets: whole in the packet, or by a memfd where it is too long.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::MemfdFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketType, recv, recvmsg, sendmsg, sockopt,
};

use crate::os;

/// A packet that says: the message is in the first descriptor.
const VIA_FD: &[u8] = b"<args-via-fd>";

/// The most descriptors that come along with a packet (the kernel's `SCM_MAX_FD`).
const FDS_MAX: usize = 253;

/// The most bytes of a message: far beyond a manifest with a million items.
const MESSAGE_MAX: u64 = 256 << 20;

/// One end of the host's socket.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// A message, and the descriptors that came along with it, which are closed
/// when it is dropped.
#[derive(Debug)]
pub struct Message {
    json: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Message {
    /// The message itself.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// What is in the file that came along first, if any came.
    ///
    /// # Errors
    /// [`ChannelError::Descriptor`] where it can't be read.
    pub fn attached(&self) -> Result<Option<Vec<u8>>, ChannelError> {
        let read = self.descriptors.first().map(read_all).transpose();
        read.map_err(ChannelError::Descriptor)
    }
}

/// What is wrong with a packet, or with the socket.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The peer has closed, whether or not it has read all that was sent.
    #[error("the host hung up")]
    HungUp,
    /// The socket itself: nothing can be said any more.
    #[error("the host's socket: {0}")]
    Socket(io::Error),
    /// A packet that can't be taken; the next may be fine.
    #[error("a message that can't be taken: {0}")]
    Packet(&'static str),
    /// The descriptor that a message is in can't be read.
    #[error("the message's descriptor can't be read: {0}")]
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
    /// Takes the socket that the host has passed by number.
    ///
    /// # Errors
    /// Where that is no such socket.
    pub fn inherited(number: RawFd) -> io::Result<Self> {
        Self::new(os::take_inherited_fd(number)?)
    }

    /// Takes a connected socket.
    ///
    /// # Errors
    /// Where it isn't a `SOCK_SEQPACKET` one.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        if sockopt::socket_type(&socket)? != SocketType::SEQPACKET {
            return Err(io::Error::other("not a seqpacket socket"));
        }
        // Hosts may have made it non-blocking; every wait here is meant.
        let flags = rustix::fs::fcntl_getfl(&socket)?;
        rustix::fs::fcntl_setfl(&socket, flags - rustix::fs::OFlags::NONBLOCK)?;
        Ok(Self { socket })
    }

    /// The next message; `None` when the peer has closed, as
    /// [`ChannelError::HungUp`] says where it has left something unread.
    ///
    /// # Errors
    /// [`ChannelError::Packet`] and [`ChannelError::Descriptor`] for a packet
    /// that is used up and was no message, after which the next can be received.
    pub fn receive(&self) -> Result<Option<Message>, ChannelError> {
        let (_, size) = retry_on_intr(|| {
            // No copy is made for the look at the length.
            let mut none = [0_u8; 0];
            let look = RecvFlags::PEEK | RecvFlags::TRUNC;
            recv(&self.socket, &mut none[..], look)
        })?;
        let mut bytes = vec![0; size];
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
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
            return Err(ChannelError::Packet("it was cut short"));
        }
        bytes.truncate(received.bytes);
        let message = Message {
            json: bytes,
            descriptors,
        };
        match message.json() {
            [] => Ok(None),
            VIA_FD => match message.attached()? {
                // What else came along is of no use to any method.
                Some(json) => Ok(Some(Message {
                    json,
                    descriptors: Vec::new(),
                })),
                None => Err(ChannelError::Packet(
                    "it should have come with a descriptor",
                )),
            },
            _ => Ok(Some(message)),
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] where the peer is gone.
    pub fn send(&self, message: &[u8]) -> Result<(), ChannelError> {
        let sent = match self.send_packet(message, &[]) {
            // More than the socket's buffer holds.
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

/// A message's bytes as a file without a name.
fn memfd(message: &[u8]) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("message", MemfdFlags::CLOEXEC)?);
    file.write_all(message)?;
    // The receiver reads from where we leave it.
    file.rewind()?;
    Ok(file)
}

/// All that is in a message's file. A pipe or a device could keep us waiting.
fn read_all(descriptor: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(descriptor.try_clone()?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MESSAGE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MESSAGE_MAX {
        return Err(io::Error::other("too long"));
    }
    Ok(bytes)
}
