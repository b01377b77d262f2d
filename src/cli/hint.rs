//! Hints: what to do about a failure, decided by its kind.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::Value;
use skopeo_index::os::{Host, read_config_file};
use skopeo_index::skopeo::{AuthFilePath, AuthFileRole, PrivateAuthFile, auth_files};
use skopeo_index_core::escape::{EscapedPath, quote};
use skopeo_index_core::index::NotAnIndex;
use skopeo_index_core::machine::{Cause, EffectError, Failed, FailureKind, State};
use skopeo_index_core::registry::Repository;
use skopeo_index_core::request::{ImageName, Location, TlsVerify};
use skopeo_index_core::skopeo::SkopeoOptions;

use super::exit::ExitStatus;
use super::output::CliError;
use super::shell;
use super::typed::resolve_command;

/// Why no tag of a container storage leads to an index.
pub(super) const TAG_IN_STORAGE: &str = "a tag in a container storage names the image of one \
    platform; its index is there by the index's digest, if it was pulled by that";

/// What was asked for, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct HintContext<'a> {
    options: &'a SkopeoOptions,
    location: &'a Location,
    name: &'a ImageName,
    by: AskedBy,
}

/// How an image was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedBy {
    Digest,
    Tag,
}

/// What to do about a failed fetch into a cache.
pub(super) fn of_failed(failed: &Failed, options: &SkopeoOptions, cache: &Path) -> Option<String> {
    let request = &failed.task().request;
    let context = HintContext::new(options, request.location(), request.name(), AskedBy::Digest);
    match failed.cause() {
        Cause::NotAnIndex {
            reason: NotAnIndex::TooLarge { .. },
        } if failed.state() == State::Pending => {
            let object = cache.join(request.digest().to_string());
            Some(format!(
                "this is a file in the cache, whose digest is not checked: {}; if no other \
                 program needs it, remove it and fetch again",
                EscapedPath(&object)
            ))
        }
        cause => context.of_cause(cause),
    }
}

impl<'a> HintContext<'a> {
    pub(super) const fn new(
        options: &'a SkopeoOptions,
        location: &'a Location,
        name: &'a ImageName,
        by: AskedBy,
    ) -> Self {
        Self {
            options,
            location,
            name,
            by,
        }
    }

    /// The error of an image, which messages call `shown`.
    pub(super) fn error(&self, shown: impl Display, cause: &Cause) -> CliError {
        CliError::new(ExitStatus::of_cause(cause), format!("{shown}: {cause}"))
            .hint(self.of_cause(cause))
    }

    /// What to do about a failure.
    fn of_cause(&self, cause: &Cause) -> Option<String> {
        match cause {
            Cause::EffectFailed { error } | Cause::RetriesExhausted { error, .. } => {
                self.of_error(error)
            }
            Cause::DigestMismatch { .. } => Some(self.mismatch()),
            Cause::NotAnIndex { reason } => self.of_not_an_index(reason),
            Cause::Offline { .. } => Some("fetch it once without --offline".to_owned()),
            _ => None,
        }
    }

    /// What to do about a failed effect.
    fn of_error(&self, error: &EffectError) -> Option<String> {
        let EffectError::Command { kind, message } = error else {
            return None;
        };
        let hint = match kind {
            FailureKind::SkopeoNotFound => {
                "install it with `apt-get install skopeo` or `dnf install skopeo`, or set its path \
                 with --skopeo"
            }
            FailureKind::Authentication if has_creds(self.options) => {
                "check user and password of --creds, and that the account can pull the image"
            }
            FailureKind::Authentication => {
                return Some(format!(
                    "log in with `{}`, or pass --authfile FILE; {}",
                    self.login(),
                    searched(self.options)
                ));
            }
            FailureKind::CredentialsFile => {
                return Some(format!(
                    "repair or remove the credentials file, or pass --authfile FILE; {}",
                    searched(self.options)
                ));
            }
            FailureKind::CredentialHelper => return Some(credential_helpers(self.options)),
            FailureKind::PlainHttp => {
                "the registry speaks plain HTTP; --tls-verify=false allows that"
            }
            FailureKind::NotTls => "check host and port: what answers there does not speak TLS",
            FailureKind::TlsAuthority => {
                "pass the registry's certificate authority with --cert-dir DIR (a *.crt file in it)"
            }
            FailureKind::TlsExpired => {
                "check the clock of this machine; if it is right, the registry needs a new \
                 certificate"
            }
            FailureKind::TlsHostName => {
                "use a host name that the registry's certificate is for; the message lists them"
            }
            FailureKind::TlsNoSan => {
                "the registry needs a certificate with a subject alternative name (SAN) for this \
                 host"
            }
            FailureKind::Tls if may_require_client_certificate(message) => {
                "if the registry requires a client certificate, pass it with --cert-dir DIR (a \
                 *.cert and a *.key file in it)"
            }
            FailureKind::Proxy => {
                "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY; credentials for the proxy are part \
                 of its URL"
            }
            FailureKind::ProxyUnavailable => {
                "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and that the proxy reaches the \
                 registry"
            }
            FailureKind::NoRegistry => {
                "check host and port of the image name: what answers there is not a registry"
            }
            FailureKind::NotFound => match (self.location, self.by) {
                (Location::ContainersStorage { .. }, _) => {
                    "check the image name, and the storage (--storage-location)"
                }
                (_, AskedBy::Digest) => {
                    "check the image name and digest, and that your account can pull it"
                }
                (_, AskedBy::Tag) => {
                    "check the image name and tag, and that your account can pull it"
                }
            },
            FailureKind::RateLimited if has_creds(self.options) => "retry later",
            FailureKind::RateLimited => {
                return Some(format!("log in with `{}`, or retry later", self.login()));
            }
            FailureKind::TooLarge => {
                "indexes are limited to 4 MiB; the digest may be that of a single image"
            }
            FailureKind::DigestMismatch => return Some(self.mismatch()),
            FailureKind::Network => {
                "check the registry's host and port, and the network; HTTPS_PROXY sets a proxy"
            }
            FailureKind::Server => "the registry or a proxy before it failed; retry later",
            FailureKind::Timeout => "--command-timeout gives each command and request more time",
            FailureKind::RegistryClient => {
                "--engine auto uses skopeo where the registry client can't be used"
            }
            FailureKind::UnexpectedAnswer => {
                "check host and port of the image name, and the registry"
            }
            FailureKind::Tls
            | FailureKind::NotAnIndex
            | FailureKind::SkopeoNotStarted
            | FailureKind::Other => {
                return None;
            }
        };
        Some(hint.to_owned())
    }

    /// What to do about bytes that are not an index.
    pub(super) fn of_not_an_index(&self, reason: &NotAnIndex) -> Option<String> {
        if !matches!(reason, NotAnIndex::SingleImage { .. }) {
            return None;
        }
        Some(match (self.location, self.by) {
            (Location::ContainersStorage { .. }, _) => TAG_IN_STORAGE.to_owned(),
            (_, AskedBy::Digest) => format!(
                "to get the digest of the index that lists it, run: {}",
                self.resolve_tag()
            ),
            (_, AskedBy::Tag) => {
                "the tag names an image for one platform, without an index; the osbuild source \
                 org.osbuild.skopeo fetches such images"
                    .to_owned()
            }
        })
    }

    /// The command that logs in to this image's registry.
    fn login(&self) -> String {
        let mut argv = vec!["skopeo".into(), "login".into()];
        if *self.location
            == (Location::Docker {
                tls_verify: TlsVerify::Never,
            })
        {
            argv.push("--tls-verify=false".into());
        }
        if let Some(authfile) = &self.options.authfile {
            argv.extend(["--authfile".into(), authfile.clone().into_os_string()]);
        }
        argv.push(Repository::of(self.name).domain().into());
        shell::command_line(argv)
    }

    /// The command for a tag of this image; `TAG` is to be replaced.
    fn resolve_tag(&self) -> String {
        let name = format!("{}:TAG", self.name.without_tag());
        let name = name.parse().unwrap_or_else(|_| self.name.clone());
        resolve_command(self.location, &name)
    }

    /// What to do about bytes with another digest.
    pub(super) fn mismatch(&self) -> String {
        let source = match self.location {
            Location::Docker { .. } => "registry (or a proxy)",
            Location::ContainersStorage { .. } => "container storage",
        };
        format!("the {source} returned different content; nothing was stored")
    }
}

/// Whether a TLS failure may be that of a missing client certificate, in words of Go, rustls or
/// this program.
fn may_require_client_certificate(message: &str) -> bool {
    let words = [
        "requires a client certificate",
        "certificate required",
        "bad certificate",
        "BadCertificate",
        "handshake failure",
        "HandshakeFailure",
    ];
    words.iter().any(|words| message.contains(words))
}

/// Whether the credentials are those of `--creds`.
fn has_creds(options: &SkopeoOptions) -> bool {
    let authfile = options.authfile.as_deref();
    authfile.is_some_and(PrivateAuthFile::is_path)
}

/// The JSON of a credentials file.
fn parse_auth_file(file: &Path) -> Option<Value> {
    serde_json::from_slice(&read_config_file(file).ok()?).ok()
}

/// The credential helpers that credentials files name.
fn credential_helpers(options: &SkopeoOptions) -> String {
    let files = auth_files(options, &Host::from_process());
    let helpers = files
        .into_iter()
        .filter_map(|AuthFilePath { path: file, .. }| {
            let json = parse_auth_file(&file)?;
            let by_registry = json["credHelpers"].as_object().into_iter();
            let helpers = by_registry.flat_map(|helpers| helpers.values());
            let names: Vec<String> = helpers
                .chain([&json["credsStore"]])
                .filter_map(Value::as_str)
                .map(|name| quote(&format!("docker-credential-{name}")))
                .collect();
            (!names.is_empty()).then(|| format!("{} of {}", names.join(", "), EscapedPath(&file)))
        });
    let helpers: Vec<String> = helpers.collect();
    if helpers.is_empty() {
        return "check credential-helpers in registries.conf".to_owned();
    }
    format!(
        "install or repair the credential helper, or remove its entry: {}",
        helpers.join("; ")
    )
}

/// The files where credentials were looked for, and which are missing or not valid.
fn searched(options: &SkopeoOptions) -> String {
    let describe = |file: PathBuf| {
        let state = match (file.exists(), parse_auth_file(&file)) {
            (false, _) => " (missing)",
            (true, None) => " (not valid)",
            (true, Some(_)) => "",
        };
        format!("{}{state}", EscapedPath(&file))
    };
    let files = auth_files(options, &Host::from_process()).into_iter();
    let (fallbacks, files): (Vec<_>, Vec<_>) =
        files.partition(|file| file.role == AuthFileRole::Fallback);
    let list = |files: Vec<AuthFilePath>| {
        let described: Vec<_> = files.into_iter().map(|file| describe(file.path)).collect();
        described.join(", ")
    };
    let also = list(
        fallbacks
            .into_iter()
            .filter(|file| file.path.exists())
            .collect(),
    );
    let also = match also.as_str() {
        "" => String::new(),
        also => format!("; skopeo before 1.11 also looks in {also}"),
    };
    format!("credentials were looked for in {}{also}", list(files))
}
