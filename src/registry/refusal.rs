//! Reasons for leaving a request to skopeo.

use std::io;
use std::path::{Path, PathBuf};

use skopeo_index_core::escape::{EscapedPath, truncate_message};
use skopeo_index_core::registry::{AuthFileError, Delegation, RegistriesConfError};

/// Why the registry client may not fetch.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateRefusal {
    /// The image is in a container storage.
    #[error("containers-storage")]
    ContainersStorage,
    /// Method copy is defined by skopeo's commands.
    #[error("--method copy")]
    MethodCopy,
    /// Debug output is skopeo's.
    #[error("--debug")]
    Debug,
    /// The user chose the program.
    #[error("--skopeo names another program")]
    Program,
    /// This variable is set.
    #[error("a proxy is set ({0})")]
    Proxy(&'static str),
    /// The kernel is in FIPS mode, for which the client's cryptography isn't validated.
    #[error("FIPS mode")]
    Fips,
    /// The user's configuration can't be found.
    #[error("HOME is not set")]
    NoHome,
    /// A `[[registry]]` table covers the repository.
    #[error("registries.conf: {} has a table for {prefix}", EscapedPath(.path))]
    RegistryTable {
        /// The file.
        path: PathBuf,
        /// The prefix of the table: printable ASCII, hardly longer than the name.
        prefix: String,
    },
    /// A registries.conf concerns every repository.
    #[error("registries.conf: {} {error}", EscapedPath(.path))]
    RegistriesConf {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: RegistriesConfError,
    },
    /// A credentials file leaves the registry to skopeo.
    #[error("{delegation} in {}", EscapedPath(.path))]
    Delegated {
        /// The file.
        path: PathBuf,
        /// The reason.
        delegation: Delegation,
    },
    /// A credentials file that some versions of skopeo don't read has an entry.
    #[error(
        "credentials in {}: skopeo before 1.11 uses them where the chosen file has none",
        EscapedPath(.0)
    )]
    FallbackAuthFile(PathBuf),
    /// A credentials file can't be parsed.
    #[error("cannot parse {}: {error}", EscapedPath(.path))]
    AuthFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: AuthFileError,
    },
    /// A directory of certificates has something that the client can't use.
    #[error("certificates in {}: {reason}", EscapedPath(.path))]
    Certificates {
        /// The directory, or a file in it.
        path: PathBuf,
        /// A noun phrase.
        reason: &'static str,
    },
    /// A file or directory can't be read.
    #[error("cannot read {}: {error}", EscapedPath(.path))]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The system's message.
        error: String,
    },
}

impl GateRefusal {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            error: truncate_message(&error.to_string()),
        }
    }
}
