//! Credentials files, as skopeo reads them (containers-auth.json(5)).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Repository;
use crate::escape;
use crate::index::is_folded_equal;

/// Format of a credentials file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFileFormat {
    /// containers-auth.json(5), or Docker's `config.json`: an object with `auths`.
    AuthJson,
    /// `~/.dockercfg`: the entries alone, by registry.
    Dockercfg,
}

/// A parsed credentials file.
#[derive(Clone)]
pub struct AuthFile {
    format: AuthFileFormat,
    content: Content,
}

/// What a credentials file has for a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// User and password.
    Credentials(Credentials),
    /// Nothing: the next file decides.
    Absent,
    /// Something that only skopeo understands.
    Delegated(Delegation),
}

/// Why an entry is left to skopeo.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Delegation {
    /// `credHelpers` has a program for the registry.
    #[error("credential helper")]
    Helper,
    /// `credsStore` has a program for every registry.
    #[error("credentials store")]
    Store,
    /// The entry is an identity token, or a token for the registry.
    #[error("identity token")]
    IdentityToken,
    /// Several entries are for the registry, of which skopeo takes any.
    #[error("ambiguous entry")]
    Ambiguous,
    /// The entry has an unknown member, or no user and password in base64.
    #[error("unknown entry")]
    Unknown,
}

/// User and password of a registry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    user: String,
    password: String,
}

/// Why a credentials file can't be parsed.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthFileError {
    /// The file is not JSON of the expected form. The text of serde is left out, because
    /// it can quote a secret.
    #[error("not a valid credentials file (line {line}, column {column})")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column in bytes.
        column: usize,
    },
    /// A key that skopeo, which ignores case, takes for a known one.
    #[error("ambiguous key {}", escape::quote(.0))]
    Key(String),
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Content {
    auths: Option<BTreeMap<String, AuthEntry>>,
    #[serde(rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
    /// Docker keeps other settings in the same file.
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

/// One registry's entry.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

/// Members of an entry that Docker writes and skopeo ignores.
const IGNORED_MEMBERS: [&str; 4] = ["email", "username", "password", "serveraddress"];

/// Without the credentials.
impl fmt::Debug for AuthFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AuthFile");
        shown.field("format", &self.format).finish_non_exhaustive()
    }
}

impl AuthFile {
    /// Parses a file.
    ///
    /// # Errors
    /// If skopeo may read it in another way.
    pub fn parse(json: &[u8], format: AuthFileFormat) -> Result<Self, AuthFileError> {
        let parsed = match format {
            AuthFileFormat::AuthJson => serde_json::from_slice(json),
            AuthFileFormat::Dockercfg => serde_json::from_slice(json).map(|auths| Content {
                auths,
                ..Content::default()
            }),
        };
        let content: Content = parsed.map_err(|error| AuthFileError::Json {
            line: error.line(),
            column: error.column(),
        })?;
        let known = ["auths", "credHelpers", "credsStore"];
        let is_respelt = |key: &&String| known.iter().any(|known| is_folded_equal(key, known));
        match content.others.keys().find(is_respelt) {
            Some(key) => Err(AuthFileError::Key(key.clone())),
            None => Ok(Self { format, content }),
        }
    }

    /// The entry for a repository.
    #[must_use]
    pub fn look_up(&self, repository: &Repository) -> Entry {
        let domain = repository.domain();
        let is_for_domain = |key: &str| self.normalize_key(key) == normalize_host(domain);
        let mut helpers = self.content.helpers.iter().flatten();
        if helpers.any(|(key, _)| is_for_domain(key)) {
            return Entry::Delegated(Delegation::Helper);
        }
        if is_set(&self.content.store) {
            return Entry::Delegated(Delegation::Store);
        }
        let Some(auths) = &self.content.auths else {
            return Entry::Absent;
        };
        let exact = match self.format {
            AuthFileFormat::AuthJson => prefixes(repository).find_map(|key| auths.get(key)),
            AuthFileFormat::Dockercfg => auths.get(domain),
        };
        if let Some(entry) = exact {
            return entry.read();
        }
        let mut others = auths.iter().filter(|(key, _)| is_for_domain(key));
        match (others.next(), others.next()) {
            (None, _) => Entry::Absent,
            (Some((_, entry)), None) => entry.read(),
            (Some(_), Some(_)) => Entry::Delegated(Delegation::Ambiguous),
        }
    }

    /// The host of a key, which Docker once wrote as `https://HOST/v1/`.
    fn normalize_key<'k>(&self, key: &'k str) -> &'k str {
        let host = key.strip_prefix("http://").unwrap_or(key);
        let host = host.strip_prefix("https://").unwrap_or(host);
        let whole = self.format == AuthFileFormat::AuthJson && host == key;
        normalize_host(match host.split_once('/') {
            Some((host, _)) if !whole => host,
            _ => host,
        })
    }
}

/// The keys of a repository, the longest first: `a.io/b/c`, `a.io/b`, `a.io`.
fn prefixes(repository: &Repository) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(repository.full_name()), |name| {
        name.rsplit_once('/').map(|(shorter, _)| shorter)
    })
}

/// One name for the registry of Docker.
fn normalize_host(host: &str) -> &str {
    match host {
        "docker.io" | "registry-1.docker.io" => "index.docker.io",
        other => other,
    }
}

fn is_set(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}

impl AuthEntry {
    fn read(&self) -> Entry {
        if is_set(&self.identitytoken) || is_set(&self.registrytoken) {
            return Entry::Delegated(Delegation::IdentityToken);
        }
        let known = |key: &String| IGNORED_MEMBERS.contains(&key.as_str());
        match self.decode() {
            Some(credentials) if self.others.keys().all(known) => Entry::Credentials(credentials),
            _ => Entry::Delegated(Delegation::Unknown),
        }
    }

    /// `auth` is the base64 of `USER:PASSWORD`.
    fn decode(&self) -> Option<Credentials> {
        let bytes = STANDARD.decode(self.auth.as_deref()?).ok()?;
        let pair = String::from_utf8(bytes).ok()?;
        let (user, password) = pair.split_once(':')?;
        Credentials::new(user, password.trim_matches('\0'))
    }
}

impl Credentials {
    /// User and password; `None` for those that no credentials file can have.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Option<Self> {
        let is_valid = !user.contains([':', '\0']) && !password.contains('\0');
        let is_complete = !user.is_empty() && !password.is_empty();
        (is_valid && is_complete).then(|| Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// A credentials file with these alone, for the registry `domain`.
    #[must_use]
    pub fn auth_file(&self, domain: &str) -> String {
        serde_json::json!({ "auths": { domain: { "auth": self.encode() } } }).to_string()
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The value of the header `Authorization` with scheme Basic (RFC 7617).
    #[must_use]
    pub fn basic(&self) -> String {
        format!("Basic {}", self.encode())
    }

    fn encode(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.user, self.password))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut credentials = f.debug_struct("Credentials");
        credentials.field("user", &self.user);
        credentials.finish_non_exhaustive()
    }
}
