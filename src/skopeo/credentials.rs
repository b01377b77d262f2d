//! The credentials that skopeo may send: where they are, so that they can be removed from
//! its messages, and those of the command line, which are given to it in a private file.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::MemfdFlags;
use skopeo_index_core::escape::EscapedPath;
use skopeo_index_core::redact::{Redactor, auth_file_secrets, proxy_secrets};
use skopeo_index_core::registry::AuthFileFormat;
use skopeo_index_core::skopeo::SkopeoOptions;

use crate::os::{Host, config_home, open_regular, read_all};

/// Variables of proxies that skopeo or one of its libraries may use, maybe with credentials.
/// NO_PROXY alone changes nothing.
pub const PROXY_VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

/// Maximum size of a credentials file in bytes, whose secrets are removed from messages. skopeo
/// has no limit; this is that of all input.
const MAX_AUTH_FILE: usize = 64 << 20;

/// A credentials file that has no name in a file system: this process and its children open
/// it below `/proc`, as long as this process has it. Nothing of it is left, however the
/// process ends.
#[derive(Debug)]
pub struct PrivateAuthFile(File);

impl PrivateAuthFile {
    /// # Errors
    /// Where the process has no descriptors or memory left.
    pub fn new(content: &str) -> io::Result<Self> {
        let mut file = File::from(rustix::fs::memfd_create("authfile", MemfdFlags::CLOEXEC)?);
        // Other users can't open it anyway; skopeo only reads it.
        rustix::fs::fchmod(&file, rustix::fs::Mode::RUSR)?;
        file.write_all(content.as_bytes())?;
        Ok(Self(file))
    }

    /// The path for this process and its children.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        private_dir().join(self.0.as_raw_fd().to_string())
    }

    /// Whether a path is that of such a file.
    #[must_use]
    pub fn is_path(path: &Path) -> bool {
        path.starts_with(private_dir())
    }
}

fn private_dir() -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd", std::process::id()))
}

/// A file in which skopeo looks for credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthFilePath {
    /// Its path.
    pub path: PathBuf,
    /// How skopeo reads it.
    pub format: AuthFileFormat,
    /// When skopeo reads it.
    pub role: AuthFileRole,
}

/// When skopeo reads a credentials file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFileRole {
    /// An option or a variable names it.
    Explicit,
    /// No other file is named.
    Default,
    /// Only skopeo before 1.11 reads it, where the explicit file has nothing for a registry.
    Fallback,
}

/// The files in which any skopeo looks for credentials, in its order
/// (containers-auth.json(5)).
#[must_use]
pub fn auth_files(options: &SkopeoOptions, host: &Host) -> Vec<AuthFilePath> {
    let explicit = options.authfile.clone();
    let explicit = explicit.or_else(|| host.path_var("REGISTRY_AUTH_FILE"));
    let home = host.home().unwrap_or_else(|| PathBuf::from("/root"));
    let runtime = host.path_var("XDG_RUNTIME_DIR");
    let runtime = runtime.map(|dir| dir.join("containers/auth.json"));
    let shared = || host.system(&format!("/run/containers/{}/auth.json", host.uid()));
    let docker = host.path_var("DOCKER_CONFIG");
    let docker = docker.unwrap_or_else(|| home.join(".docker"));
    let (first, others) = match &explicit {
        Some(_) => (AuthFileRole::Explicit, AuthFileRole::Fallback),
        None => (AuthFileRole::Default, AuthFileRole::Default),
    };
    let auth_json = AuthFileFormat::AuthJson;
    [
        (
            explicit.or(runtime).unwrap_or_else(shared),
            auth_json,
            first,
        ),
        (
            config_home(host, &home).join("containers/auth.json"),
            auth_json,
            others,
        ),
        (docker.join("config.json"), auth_json, others),
        (home.join(".dockercfg"), AuthFileFormat::Dockercfg, others),
    ]
    .map(|(path, format, role)| AuthFilePath { path, format, role })
    .into()
}

/// A redactor of the credentials in force, of registries and of proxies. Where they can't
/// be read although skopeo may have read them, it leaves nothing of a text.
#[must_use]
pub fn redactor(options: &SkopeoOptions) -> Redactor {
    let mut secrets: Vec<Vec<u8>> = PROXY_VARIABLES
        .into_iter()
        .filter_map(std::env::var_os)
        .flat_map(|url| proxy_secrets(&url.to_string_lossy()))
        .collect();
    let authorization = options.authorization.as_deref();
    let sent = authorization.and_then(|value| value.split_once(' '));
    secrets.extend(sent.map(|(_, credentials)| credentials.into()));
    for AuthFilePath { path, .. } in auth_files(options, &Host::from_process()) {
        let file = open_regular(&path).and_then(|file| read_all(file, MAX_AUTH_FILE, None));
        match file {
            Ok(file) => secrets.extend(auth_file_secrets(&file)),
            Err(error) if is_unreadable_for_skopeo(&error) => {}
            Err(error) => {
                let path = EscapedPath(&path);
                let reason = format!("cannot read the secrets in {path}: {error}");
                return Redactor::withholding(reason);
            }
        }
    }
    Redactor::new(secrets)
}

/// Whether skopeo, which runs as the same user, can't have read a file either.
fn is_unreadable_for_skopeo(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::PermissionDenied
    )
}
