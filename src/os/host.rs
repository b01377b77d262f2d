//! Where the host's configuration is.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::{open_regular, read_all};

/// Maximum size of a configuration file in bytes. The largest is a bundle of all public
/// CA certificates, with some 200 KiB.
const MAX_CONFIG_FILE: usize = 1 << 20;

/// The environment, the user and the root directory that decide which configuration is in
/// force.
#[derive(Clone)]
pub struct Host {
    root: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    uid: u32,
}

impl Host {
    /// A host with this root directory, environment and user id.
    #[must_use]
    pub fn new(
        root: PathBuf,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        uid: u32,
    ) -> Self {
        let environment = environment.into_iter().collect();
        Self {
            root,
            environment,
            uid,
        }
    }

    /// The host of this process, as it is now.
    #[must_use]
    pub fn from_process() -> Self {
        let uid = rustix::process::getuid().as_raw();
        Self::new(PathBuf::from("/"), std::env::vars_os(), uid)
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        let value = self.environment.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// A variable that is set and not empty, as a path.
    #[must_use]
    pub fn path_var(&self, name: &str) -> Option<PathBuf> {
        self.var(name).map(PathBuf::from)
    }

    /// A path of the system, below the root directory.
    #[must_use]
    pub fn system(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The home directory, also where a service of root has no `HOME`.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        let root = || (self.uid == 0).then(|| PathBuf::from("/root"));
        self.path_var("HOME").or_else(root)
    }

    /// The user id.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }
}

/// The directory of the user's configuration (XDG Base Directory Specification).
#[must_use]
pub fn config_home(host: &Host, home: &Path) -> PathBuf {
    let configured = host.path_var("XDG_CONFIG_HOME");
    configured.unwrap_or_else(|| home.join(".config"))
}

/// Reads a file of the host's configuration.
///
/// # Errors
/// Also where it is not a regular file, or larger than 1 MiB.
pub fn read_config_file(path: &Path) -> io::Result<Vec<u8>> {
    read_all(open_regular(path)?, MAX_CONFIG_FILE, None)
}
