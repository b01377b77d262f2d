//! CA and client certificates, as skopeo finds them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::GateRefusal;
use super::config_files::{if_exists, list_dir};
use crate::os::{Host, config_home, read_config_file};

/// Bundles of CA certificates, of which Go reads the first that it can (crypto/x509 on
/// Linux).
const ROOT_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Directories of CA certificates, all of which Go reads.
const ROOT_DIRS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Directories of certificates by registry that every skopeo reads, after that of the user.
const SYSTEM_DIRS: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// Such directories that only later versions of skopeo read.
const LATER_DIRS: [&str; 5] = [
    "/usr/share/containers/certs.d",
    "/etc/containers/certs.rootful.d",
    "/etc/containers/certs.rootless.d",
    "/usr/share/containers/certs.rootful.d",
    "/usr/share/containers/certs.rootless.d",
];

/// Certificates for one registry (containers-certs.d(5)).
#[derive(Debug, Default)]
pub struct DomainCertificates {
    roots: Vec<CertificateDer<'static>>,
    client: Option<ClientPair>,
}

/// A client's certificate and its key.
#[derive(Debug)]
pub struct ClientPair {
    /// The certificate and its issuers.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
}

impl DomainCertificates {
    /// CA certificates beside those of the system. Like skopeo, leaves out what is not a
    /// certificate.
    pub fn add_roots(&self, store: &mut RootCertStore) {
        store.add_parsable_certificates(self.roots.iter().cloned());
    }

    /// The certificate to present if the registry asks for one.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientPair> {
        self.client.as_ref()
    }

    /// Whether there is nothing for the registry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.client.is_none()
    }

    /// Reads a directory of `*.crt`, `*.cert` and `*.key` files.
    fn read(dir: &Path) -> Result<Self, GateRefusal> {
        let mut certificates = Self::default();
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error| GateRefusal::unreadable(&path, &error)
        };
        let refusal = |path: &Path, reason| GateRefusal::Certificates {
            path: path.to_owned(),
            reason,
        };
        let files = list_dir(dir).map_err(unreadable(dir))?;
        for file in &files {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => {
                    let pem = read_config_file(file).map_err(unreadable(file))?;
                    certificates.roots.extend(parse_certificates(&pem));
                }
                Some("cert") => {
                    let key_file = file.with_extension("key");
                    if !files.contains(&key_file) {
                        return Err(refusal(file, "a client certificate without its key"));
                    }
                    let pem = read_config_file(file).map_err(unreadable(file))?;
                    let key = read_config_file(&key_file).map_err(unreadable(&key_file))?;
                    let pair = ClientPair::parse(&pem, &key);
                    let pair = pair.ok_or_else(|| refusal(file, "an unknown format"))?;
                    // The server's request would choose among several.
                    if certificates.client.replace(pair).is_some() {
                        return Err(refusal(dir, "several client certificates"));
                    }
                }
                Some("key") if !files.contains(&file.with_extension("cert")) => {
                    return Err(refusal(file, "a key without its client certificate"));
                }
                _ => {}
            }
        }
        Ok(certificates)
    }
}

impl ClientPair {
    fn parse(pem: &[u8], key: &[u8]) -> Option<Self> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty())?;
        let key = PrivateKeyDer::from_pem_slice(key).ok()?;
        Some(Self { chain, key })
    }
}

/// Where certificates by registry are.
pub(super) enum CertificateDirs {
    /// `--cert-dir`: for every registry.
    Fixed(PathBuf),
    /// Directories with a directory `HOST[:PORT]` for each registry.
    ByDomain {
        /// The first that has one counts.
        dirs: Vec<PathBuf>,
        /// Any that has one is a refusal: it depends on skopeo's version.
        later: Vec<PathBuf>,
    },
}

impl CertificateDirs {
    pub(super) fn new(cert_dir: Option<&Path>, host: &Host, home: &Path) -> Self {
        if let Some(dir) = cert_dir {
            return Self::Fixed(dir.to_owned());
        }
        let user = home.join(".config/containers/certs.d");
        let configured = config_home(host, home).join("containers/certs.d");
        // Looked for once, not for each request.
        let exists = |dir: &PathBuf| dir.try_exists().unwrap_or(true);
        let later = LATER_DIRS.map(|dir| host.system(dir)).into_iter();
        let later = later.chain([configured]).filter(|dir| *dir != user);
        let later = later.filter(exists).collect();
        let system = SYSTEM_DIRS.map(|dir| host.system(dir));
        let dirs = [user].into_iter().chain(system).filter(exists).collect();
        Self::ByDomain { dirs, later }
    }

    /// The certificates for a registry, `HOST[:PORT]` as in the configuration.
    pub(super) fn read(&self, domain: &str) -> Result<DomainCertificates, GateRefusal> {
        match self {
            Self::Fixed(dir) => DomainCertificates::read(dir),
            Self::ByDomain { dirs, later } => {
                if let Some(path) = first_existing(later, domain)? {
                    let reason = "a directory that only later skopeos read";
                    return Err(GateRefusal::Certificates { path, reason });
                }
                match first_existing(dirs, domain)? {
                    Some(dir) => DomainCertificates::read(&dir),
                    None => Ok(DomainCertificates::default()),
                }
            }
        }
    }
}

fn first_existing(dirs: &[PathBuf], domain: &str) -> Result<Option<PathBuf>, GateRefusal> {
    for dir in dirs {
        let dir = dir.join(domain);
        if if_exists(&dir, dir.metadata())?.is_some() {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}

/// The CA certificates of the system, where Go's crypto/x509 looks for them. What can't be
/// read or isn't a certificate is left out, as there.
#[must_use]
pub fn system_roots(host: &Host) -> RootCertStore {
    let files = match host.path_var("SSL_CERT_FILE") {
        Some(file) => vec![file],
        None => ROOT_FILES.map(|file| host.system(file)).into(),
    };
    let dirs = match host.var("SSL_CERT_DIR") {
        Some(dirs) => std::env::split_paths(dirs).collect(),
        None => ROOT_DIRS.map(|dir| host.system(dir)).to_vec(),
    };
    let bundle = files.iter().find_map(|file| read_config_file(file).ok());
    let entries = dirs
        .iter()
        .flat_map(|dir| list_dir(dir).unwrap_or_default());
    // c_rehash(1) links each certificate of a directory by the hash of its subject.
    let is_alias = |file: &PathBuf| {
        let target = file.read_link();
        target.is_ok_and(|target| target.components().count() == 1)
    };
    let others = entries.filter(|file| !is_alias(file));
    let pems = bundle
        .into_iter()
        .chain(others.filter_map(|file| read_config_file(&file).ok()));
    // A bundle repeats what is in a directory.
    let certificates: HashSet<_> = pems.flat_map(|pem| parse_certificates(&pem)).collect();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    roots
}

/// The certificates among the sections of a PEM file, up to one that is broken.
fn parse_certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    certificates.map_while(Result::ok).collect()
}
