//! The credentials that skopeo may send: where they are, so that they can be removed from
//! its messages, and those of the command line, which are given to it in a private file.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::MemfdFlags;
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::registry::AuthFileFormat;
use skopeo_index_core::skopeo::SkopeoOptions;

use crate::os::{Host, config_home, read_config_file};

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

/// The files in which skopeo looks for credentials, in its order (containers-auth.json(5)).
#[must_use]
pub fn auth_files(options: &SkopeoOptions) -> Vec<PathBuf> {
    let files = auth_files_of(options, &Host::from_process());
    files.into_iter().map(|(path, _)| path).collect()
}

/// [`auth_files`] on a host, with the format of each. An explicit file is the only one.
#[must_use]
pub fn auth_files_of(options: &SkopeoOptions, host: &Host) -> Vec<(PathBuf, AuthFileFormat)> {
    let explicit = options.authfile.clone();
    if let Some(file) = explicit.or_else(|| host.path_var("REGISTRY_AUTH_FILE")) {
        return vec![(file, AuthFileFormat::AuthJson)];
    }
    let home = host.home().unwrap_or_else(|| PathBuf::from("/root"));
    let runtime = host.path_var("XDG_RUNTIME_DIR");
    let runtime = runtime.map(|dir| dir.join("containers/auth.json"));
    let shared = || host.system(&format!("/run/containers/{}/auth.json", host.uid()));
    let docker = host.path_var("DOCKER_CONFIG");
    let docker = docker.unwrap_or_else(|| home.join(".docker"));
    vec![
        (runtime.unwrap_or_else(shared), AuthFileFormat::AuthJson),
        (
            config_home(host, &home).join("containers/auth.json"),
            AuthFileFormat::AuthJson,
        ),
        (docker.join("config.json"), AuthFileFormat::AuthJson),
        (home.join(".dockercfg"), AuthFileFormat::Dockercfg),
    ]
}

/// A redactor of all credentials in force: of registries and of proxies.
#[must_use]
pub fn redactor(options: &SkopeoOptions) -> Redactor {
    let files: Vec<Vec<u8>> = auth_files(options)
        .iter()
        .filter_map(|file| read_config_file(file).ok())
        .collect();
    let proxies = PROXY_VARIABLES.map(std::env::var).into_iter().flatten();
    let passwords = proxies.filter_map(|url| proxy_password(&url));
    Redactor::of_auth_files(files.iter().map(Vec::as_slice), passwords)
}

/// The password in `http://USER:PASSWORD@HOST`.
fn proxy_password(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let (user, _) = rest.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(password.to_owned())
}
