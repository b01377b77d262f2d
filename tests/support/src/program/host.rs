//! An osbuild host: starts a source (the real binary) with a socket, and calls it.

use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::MemfdFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    sockopt,
};
use serde_json::{Value, json};
use skopeo_index::os::best_effort;
use tempfile::TempDir;
use wait_timeout::ChildExt;

/// How long to wait for the service: far more than it needs in any test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// More bytes than any reply in the tests has.
const MAX_REPLY: usize = 8 << 20;

/// The version of osbuild that the host claims to be.
#[derive(Clone, Copy)]
pub enum Version {
    /// Reads the result in the reply of `download`.
    V190,
    /// Takes every reply for a success; only exceptions are failures.
    V185,
    /// Its version can't be read.
    Unknown,
}

pub struct Host {
    /// `None` after hanging up.
    socket: Option<OwnedFd>,
    pub service: Child,
    dir: TempDir,
}

/// The result of reading from the service.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Message(Value, Transfer),
    Closed,
}

/// How a message was sent.
#[derive(Debug, PartialEq)]
pub enum Transfer {
    Packet,
    Memfd,
}

impl Host {
    pub fn start(version: Version) -> Self {
        Self::start_with(version, |_| {})
    }

    pub fn start_with(version: Version, more: impl FnOnce(&mut Command)) -> Self {
        Self::start_source(&super::binary(), version, more)
    }

    /// Starts the source of a path, ours or another.
    pub fn start_source(source: &Path, version: Version, more: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let package = dir.path().join("python/osbuild");
        fs::create_dir_all(&package).expect("a directory");
        let version = match version {
            Version::V190 => "\"\"\"Text\"\"\"\n\n__version__ = \"190\"\n",
            Version::V185 => "__version__ = \"185\"\n",
            Version::Unknown => "",
        };
        fs::write(package.join("__init__.py"), version).expect("a file");
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("a pair of sockets");
        // The shell moves the socket from stdin to where osbuild passes it. More
        // arguments are a command to run it by.
        let script = "exec \"$@\" \"$0\" --service-id source/org.osbuild.skopeo-index --service-fd 7 7<&0 </dev/null";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(source);
        command
            .stdin(theirs)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
            .env("PYTHONPATH", dir.path().join("python"))
            .env("PYTHONUNBUFFERED", "1");
        command
            .env("SKOPEO_INDEX_RETRY_TIMES", "0")
            .env("SKOPEO_INDEX_ENGINE", super::harness::engine());
        more(&mut command);
        let service = command.spawn().expect("the source");
        Self {
            socket: Some(ours),
            service,
            dir,
        }
    }

    /// The directory of sources in a store.
    pub fn cache(&self) -> PathBuf {
        self.dir.path().join("store/sources")
    }

    /// The directory of sources in another store.
    pub fn other_cache(&self) -> PathBuf {
        self.dir.path().join("other/sources")
    }

    /// Every path below the host's directory, sorted.
    pub fn all_paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.dir.path().to_owned()];
        let mut next = 0;
        while let Some(path) = paths.get(next) {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let below: Vec<_> = entries.map(|entry| entry.path()).collect();
            paths.extend(below);
            next += 1;
        }
        paths.sort();
        paths
    }

    pub fn object(&self, digest: &str) -> PathBuf {
        self.cache().join("org.osbuild.files").join(digest)
    }

    fn socket(&self) -> &OwnedFd {
        self.socket.as_ref().expect("not hung up")
    }

    pub fn send(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) {
        // The kernel caps it; a packet that is too long fails below.
        best_effort(sockopt::set_socket_send_buffer_size(
            self.socket(),
            packet.len() + 1024,
        ));
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(
                ancillary.push(SendAncillaryMessage::ScmRights(descriptors)),
                "room for them"
            );
        }
        let sent = sendmsg(
            self.socket(),
            &[IoSlice::new(packet)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        );
        match sent {
            // A service that has ended: no answer comes.
            Ok(_) | Err(rustix::io::Errno::PIPE) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub fn receive(&self) -> Answer {
        self.wait_for_answer();
        let mut bytes = vec![0; MAX_REPLY];
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(
            self.socket(),
            &mut slices,
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        );
        let length = match received {
            Ok(received) => received.bytes,
            // It closed with something of ours unread.
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(error) => panic!("{error}"),
        };
        bytes.truncate(length);
        let mut transfer = Transfer::Packet;
        if bytes == b"<args-via-fd>" {
            transfer = Transfer::Memfd;
            let first = ancillary.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                _ => None,
            });
            bytes.clear();
            File::from(first.expect("a descriptor"))
                .read_to_end(&mut bytes)
                .expect("a message");
        }
        match bytes.as_slice() {
            [] => Answer::Closed,
            json => Answer::Message(serde_json::from_slice(json).expect("JSON"), transfer),
        }
    }

    /// Waits until an answer can be read, without reading it.
    pub fn wait_for_answer(&self) {
        let mut fds = [PollFd::new(self.socket(), PollFlags::IN)];
        let timeout = TIMEOUT.try_into().expect("it fits");
        assert_eq!(poll(&mut fds, Some(&timeout)), Ok(1), "no answer");
    }

    pub fn call(&self, name: &str, args: &Value) -> Value {
        let call = json!({ "type": "method", "data": { "name": name, "args": args } });
        self.send(call.to_string().as_bytes(), &[]);
        self.answer()
    }

    /// The next message.
    pub fn answer(&self) -> Value {
        match self.receive() {
            Answer::Message(message, _) => message,
            Answer::Closed => panic!("closed"),
        }
    }

    /// The arguments of `download`.
    pub fn arguments(&self, items: &Value) -> Value {
        json!({
            "items": items, "options": {}, "cache": self.cache(), "output": null, "checksums": [],
        })
    }

    pub fn download(&self, items: &Value) -> Value {
        self.call("download", &self.arguments(items))
    }

    /// Closes the socket.
    pub fn hang_up(&mut self) {
        self.socket = None;
    }

    /// Hangs up; returns the service's exit status and its stdout.
    pub fn finish(mut self) -> (Option<i32>, String) {
        self.hang_up();
        let mut stdout = String::new();
        self.service
            .stdout
            .take()
            .expect("stdout")
            .read_to_string(&mut stdout)
            .expect("text");
        let mut errors = String::new();
        self.service
            .stderr
            .take()
            .expect("stderr")
            .read_to_string(&mut errors)
            .expect("text");
        assert_eq!(errors, "", "on stderr");
        (self.service.wait().expect("its end").code(), stdout)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.hang_up();
        // It ends on its own when the host hangs up.
        if !matches!(self.service.wait_timeout(TIMEOUT), Ok(Some(_))) {
            best_effort(self.service.kill());
            best_effort(self.service.wait());
        }
    }
}

/// A message in a file without a name.
pub fn memfd(message: &[u8]) -> File {
    let mut file =
        File::from(rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC).expect("a memfd"));
    file.write_all(message).expect("a message");
    file.rewind().expect("its start");
    file
}

/// `<args-via-fd>` with a file.
pub fn send_by_memfd(host: &Host, message: &Value) {
    let file = memfd(message.to_string().as_bytes());
    host.send(b"<args-via-fd>", &[file.as_fd()]);
}

/// The items of one image's indexes.
pub fn items<'d>(registry: &str, digests: impl IntoIterator<Item = &'d str>) -> Value {
    let item = json!({ "image": { "name": format!("{registry}/app"), "tls-verify": false } });
    digests
        .into_iter()
        .map(|digest| (digest.to_owned(), item.clone()))
        .collect()
}

/// The result of the reply.
#[track_caller]
pub fn reply(message: &Value) -> &Value {
    assert_eq!(message["type"], "reply", "{message}");
    &message["data"]["reply"]
}

/// The text of the exception.
#[track_caller]
pub fn exception(message: &Value) -> &str {
    assert_eq!(message["type"], "exception", "{message}");
    assert!(message["data"]["name"].is_string() && message["data"]["backtrace"].is_string());
    message["data"]["value"].as_str().expect("a text")
}

/// Whether a directory has no entries, or doesn't exist.
pub fn is_empty_dir(path: &Path) -> bool {
    fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none())
}
