//! The gate: lets the registry client fetch only where it certainly does what skopeo
//! would. Any doubt is a refusal, which only means that skopeo is asked.

use std::path::{Path, PathBuf};

use skopeo_index_core::machine::Method;
use skopeo_index_core::registry::{AuthFile, Credentials, Entry, RegistriesConf, Repository};
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::{SkopeoDebug, SkopeoOptions};

use super::GateRefusal;
use super::certificates::{CertificateDirs, DomainCertificates};
use super::config_files::{if_exists, list_dir};
use crate::os::{Host, config_home, read_config_file};
use crate::skopeo::{AuthFilePath, AuthFileRole, PROXY_VARIABLES, auth_files};

/// Variables that name a registries.conf, of one version of skopeo or another.
const CONF_VARIABLES: [&str; 3] = [
    "CONTAINERS_REGISTRIES_CONF",
    "CONTAINERS_REGISTRIES_CONF_OVERRIDE",
    "REGISTRIES_CONFIG_PATH",
];

/// Directories of drop-ins beside registries.conf. All but the first are newer.
const DROP_IN_DIRS: [&str; 3] = [
    "registries.conf.d",
    "registries.rootful.conf.d",
    "registries.rootless.conf.d",
];

/// Which skopeo is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkopeoProgram {
    /// `skopeo` on `PATH`.
    Default,
    /// The program of `--skopeo`, which may do anything.
    Chosen,
}

/// What the gate looks at.
pub struct GateInputs<'a> {
    /// Where the host's configuration is.
    pub host: Host,
    /// Options of every skopeo command.
    pub options: &'a SkopeoOptions,
    /// How skopeo would be run.
    pub method: Method,
    /// Which skopeo would be run.
    pub program: SkopeoProgram,
}

impl<'a> GateInputs<'a> {
    /// The configuration of this process.
    #[must_use]
    pub fn from_process(
        options: &'a SkopeoOptions,
        method: Method,
        program: SkopeoProgram,
    ) -> Self {
        Self {
            host: Host::from_process(),
            options,
            method,
            program,
        }
    }
}

/// Decides for each request whether the registry client may fetch it.
pub struct Gate(Result<HostConfig, GateRefusal>);

/// The host's configuration, where it doesn't refuse every request.
struct HostConfig {
    registries_confs: Vec<(PathBuf, RegistriesConf)>,
    /// In skopeo's order, which reads one only where those before it have no entry.
    auth_files: Vec<(AuthFilePath, Result<AuthFile, GateRefusal>)>,
    certificates: CertificateDirs,
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// HTTPS with a verified certificate.
    Verified,
    /// HTTPS with any certificate, or else plain HTTP: `--tls-verify=false`.
    Unverified,
}

/// Which redirects may be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Redirects {
    /// Those to the host that was asked: another one may have a table in registries.conf.
    SameHost,
    /// Those to any host.
    AnyHost,
}

/// The gate's permission to fetch one request from its registry. Only [`Gate::check`]
/// makes one.
#[derive(Debug)]
pub struct Permit {
    repository: Repository,
    credentials: Option<Credentials>,
    tls: TlsMode,
    redirects: Redirects,
    certificates: DomainCertificates,
}

impl Permit {
    /// The repository to fetch from.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The credentials for the repository's registry, and for its token server.
    #[must_use]
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// How the connection must be secured.
    #[must_use]
    pub const fn tls(&self) -> TlsMode {
        self.tls
    }

    /// Which redirects may be followed.
    #[must_use]
    pub const fn redirects(&self) -> Redirects {
        self.redirects
    }

    /// The certificates for the repository's registry, beside the system's.
    #[must_use]
    pub const fn certificates(&self) -> &DomainCertificates {
        &self.certificates
    }
}

impl Gate {
    /// Reads the host's configuration, once for all requests of a run.
    #[must_use]
    pub fn new(inputs: &GateInputs<'_>) -> Self {
        Self(HostConfig::read(inputs))
    }

    /// Whether the registry client may fetch a request.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self, request: &Request) -> Result<Permit, GateRefusal> {
        let Location::Docker { tls_verify } = request.location() else {
            return Err(GateRefusal::ContainersStorage);
        };
        let config = self.0.as_ref().map_err(Clone::clone)?;
        let repository = Repository::of(request.name());
        for (path, conf) in &config.registries_confs {
            if let Some(prefix) = conf.concerns(&repository) {
                return Err(GateRefusal::RegistryTable {
                    path: path.clone(),
                    prefix: prefix.to_owned(),
                });
            }
        }
        let has_tables = |(_, conf): &(_, RegistriesConf)| conf.has_registry_tables();
        Ok(Permit {
            credentials: config.credentials(&repository)?,
            tls: match tls_verify {
                TlsVerify::Unset | TlsVerify::ItemTrue | TlsVerify::Always => TlsMode::Verified,
                TlsVerify::Never => TlsMode::Unverified,
            },
            redirects: match config.registries_confs.iter().any(has_tables) {
                true => Redirects::SameHost,
                false => Redirects::AnyHost,
            },
            certificates: config.certificates.read(repository.domain())?,
            repository,
        })
    }
}

impl HostConfig {
    fn read(inputs: &GateInputs<'_>) -> Result<Self, GateRefusal> {
        let host = &inputs.host;
        if inputs.method == Method::SkopeoCopy {
            return Err(GateRefusal::MethodCopy);
        }
        if inputs.options.debug == SkopeoDebug::On {
            return Err(GateRefusal::Debug);
        }
        if inputs.program == SkopeoProgram::Chosen {
            return Err(GateRefusal::Program);
        }
        if let Some(proxy) = PROXY_VARIABLES
            .into_iter()
            .find(|name| host.var(name).is_some())
        {
            return Err(GateRefusal::Proxy(proxy));
        }
        let fips = host.system("/proc/sys/crypto/fips_enabled");
        // A kernel without FIPS mode has no such file.
        match if_exists(&fips, read_config_file(&fips))? {
            Some(enabled) if enabled.trim_ascii() != b"0" => return Err(GateRefusal::Fips),
            _ => {}
        }
        let home = host.home().ok_or(GateRefusal::NoHome)?;
        Ok(Self {
            registries_confs: read_registries_confs(host, &home)?,
            auth_files: read_auth_files(inputs.options, host),
            certificates: CertificateDirs::new(inputs.options.cert_dir.as_deref(), host, &home),
        })
    }

    fn credentials(&self, repository: &Repository) -> Result<Option<Credentials>, GateRefusal> {
        for (AuthFilePath { path, role, .. }, file) in &self.auth_files {
            let path = || path.clone();
            match file.as_ref().map_err(Clone::clone)?.look_up(repository) {
                Entry::Absent => {}
                _ if *role == AuthFileRole::Fallback => {
                    return Err(GateRefusal::FallbackAuthFile(path()));
                }
                Entry::Credentials(credentials) => return Ok(Some(credentials)),
                Entry::Delegated(delegation) => {
                    let path = path();
                    return Err(GateRefusal::Delegated { path, delegation });
                }
            }
        }
        Ok(None)
    }
}

/// All that any skopeo may read: the places have changed between its versions.
fn read_registries_confs(
    host: &Host,
    home: &Path,
) -> Result<Vec<(PathBuf, RegistriesConf)>, GateRefusal> {
    let mut confs = Vec::new();
    for path in CONF_VARIABLES
        .into_iter()
        .filter_map(|name| host.path_var(name))
    {
        // A file that a variable names must exist.
        let bytes =
            read_config_file(&path).map_err(|error| GateRefusal::unreadable(&path, &error))?;
        confs.push(parse_registries_conf(path, &bytes)?);
    }
    let system = ["/etc/containers", "/usr/share/containers"].map(|dir| host.system(dir));
    let user = [config_home(host, home), home.join(".config")].map(|dir| dir.join("containers"));
    for dir in system.iter().chain(&user) {
        let mut files = vec![dir.join("registries.conf")];
        for drop_ins in DROP_IN_DIRS.map(|name| dir.join(name)) {
            let of_user = drop_ins.join(host.uid().to_string());
            for dir in [drop_ins, of_user] {
                files.extend(if_exists(&dir, list_dir(&dir))?.unwrap_or_default());
            }
        }
        files.retain(|path| path.as_os_str().as_encoded_bytes().ends_with(b".conf"));
        for path in files {
            if let Some(bytes) = if_exists(&path, read_config_file(&path))? {
                confs.push(parse_registries_conf(path, &bytes)?);
            }
        }
    }
    Ok(confs)
}

fn parse_registries_conf(
    path: PathBuf,
    bytes: &[u8],
) -> Result<(PathBuf, RegistriesConf), GateRefusal> {
    match RegistriesConf::parse(bytes) {
        Ok(conf) => Ok((path, conf)),
        Err(error) => Err(GateRefusal::RegistriesConf { path, error }),
    }
}

fn read_auth_files(
    options: &SkopeoOptions,
    host: &Host,
) -> Vec<(AuthFilePath, Result<AuthFile, GateRefusal>)> {
    let read = |file: AuthFilePath| {
        let path = &file.path;
        let json = match (read_config_file(path), file.role) {
            // It must exist.
            (Err(error), AuthFileRole::Explicit) => Err(GateRefusal::unreadable(path, &error)),
            (read, _) => if_exists(path, read),
        };
        let parse = |json: Vec<u8>| {
            let parsed = AuthFile::parse(&json, file.format);
            parsed.map_err(|error| GateRefusal::AuthFile {
                path: path.clone(),
                error,
            })
        };
        let parsed = json.map(|json| json.map(parse)).transpose()?;
        Some((file.clone(), parsed.and_then(|parsed| parsed)))
    };
    auth_files(options, host)
        .into_iter()
        .filter_map(read)
        .collect()
}
