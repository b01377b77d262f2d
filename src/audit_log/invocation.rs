//! Who started this process, and where.

use ring::hmac::{HMAC_SHA256, Key, sign};
use skopeo_index_core::audit::{Invocation, Labels, is_host_name, is_user_name};
use skopeo_index_core::digest::Digest;

use crate::os::{Host, open_regular, read_all};

/// Key of the machine id's hash: fixed and the program's own, as machine-id(5) asks.
const MACHINE_KEY: &[u8] = b"skopeo-index";

/// Maximum size of the files that are read: of a list of many users.
const MAX_FILE: usize = 4 << 20;

/// Describes this process on a host. What the system doesn't tell is left out.
///
/// The variables `SUDO_USER` and `SUDO_UID` are not asked, because any parent process can
/// set them.
#[must_use]
pub fn invocation(host: &Host, labels: &Labels) -> Invocation {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok();
    // Linux's name of a host that has none.
    let name = name.filter(|name| is_host_name(name) && *name != "(none)");
    Invocation {
        host: name.map(str::to_owned),
        labels: labels.clone(),
        login_uid: login_uid(host),
        machine: machine(host),
        pid: std::process::id(),
        uid: host.uid(),
        user: user(host),
    }
}

/// The kernel's audit login uid (pam_loginuid(8)).
fn login_uid(host: &Host) -> Option<u32> {
    let uid = read(host, "/proc/self/loginuid")?.trim_end().parse().ok()?;
    // Without a login: a daemon's child, or the first process of a container.
    (uid != u32::MAX).then_some(uid)
}

/// A hash of the machine id, which must not be published itself (machine-id(5)).
fn machine(host: &Host) -> Option<Digest> {
    let id = read(host, "/etc/machine-id")?;
    let id = id.trim_end();
    // Others are empty, or `uninitialized` during the first boot.
    let is_id = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let hash = || sign(&Key::new(HMAC_SHA256, MACHINE_KEY), id.as_bytes());
    let hash: [u8; 32] = is_id.then(hash)?.as_ref().try_into().ok()?;
    Some(Digest::from_bytes(hash))
}

/// The user's name in passwd(5).
fn user(host: &Host) -> Option<String> {
    let users = read(host, "/etc/passwd")?;
    let uid = host.uid().to_string();
    let is_user = |line: &&str| line.split(':').nth(2) == Some(&uid);
    let name = users.lines().find(is_user)?.split(':').next()?;
    is_user_name(name).then(|| name.to_owned())
}

fn read(host: &Host, path: &str) -> Option<String> {
    let file = open_regular(&host.system(path)).ok()?;
    let bytes = read_all(file, MAX_FILE, None).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
