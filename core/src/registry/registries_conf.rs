//! registries.conf, as far as it says whether skopeo would do more than ask the registry
//! in the image name (containers-registries.conf(5)).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Repository;
use crate::escape;
use crate::object::Object;

/// A parsed registries.conf, or a drop-in of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistriesConf {
    /// In lower case, without a tag or digest.
    prefixes: Vec<String>,
}

/// Why a registries.conf concerns every repository.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistriesConfError {
    /// The file is not UTF-8, not TOML, or has an unknown key or type.
    #[error("cannot be parsed: {}", escape::quote(.0))]
    Syntax(String),
    /// `[registries.search]` and the like.
    #[error("has the version 1 format")]
    V1Format,
    /// `credential-helpers` names a program.
    #[error("has credential-helpers")]
    CredentialHelpers,
    /// A table has neither `prefix` nor `location`, or one that is not a name.
    #[error("has a [[registry]] table without a valid prefix or location")]
    Table,
}

/// The keys of all versions. Others, also such as differ in case only, which skopeo may
/// accept, are errors.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Document {
    registry: Vec<Object<Table>>,
    credential_helpers: Option<Vec<String>>,
    registries: Option<IgnoredAny>,
    unqualified_search_registries: Vec<String>,
    short_name_mode: String,
    aliases: BTreeMap<String, String>,
    additional_layer_store_auth_helper: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror: Vec<Object<Mirror>>,
    mirror_by_digest_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "of two keys, only the type matters")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: String,
}

impl RegistriesConf {
    /// Parses a file.
    ///
    /// # Errors
    /// If the file may concern every repository: any doubt is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, RegistriesConfError> {
        let syntax = |message: &str| RegistriesConfError::Syntax(escape::truncate_message(message));
        let text = str::from_utf8(bytes).map_err(|error| syntax(&error.to_string()))?;
        let document: Document = toml::from_str(text).map_err(|error| syntax(error.message()))?;
        if document.registries.is_some() {
            return Err(RegistriesConfError::V1Format);
        }
        // `containers-auth.json` is not a program: it stands for the credentials files.
        let helpers = document.credential_helpers;
        if helpers.is_some_and(|helpers| helpers != ["containers-auth.json"]) {
            return Err(RegistriesConfError::CredentialHelpers);
        }
        let tables = document.registry.iter();
        let prefixes: Result<_, _> = tables.map(|Object(table)| table.prefix()).collect();
        prefixes.map(|prefixes| Self { prefixes })
    }

    /// The prefix of a `[[registry]]` table that covers a repository, whatever it says.
    #[must_use]
    pub fn concerns(&self, repository: &Repository) -> Option<&str> {
        let name = repository.full_name().to_ascii_lowercase();
        let mut prefixes = self.prefixes.iter().map(String::as_str);
        prefixes.find(|prefix| covers(prefix, &name))
    }

    /// Whether there is a table for any repository.
    #[must_use]
    pub fn has_registry_tables(&self) -> bool {
        !self.prefixes.is_empty()
    }
}

impl Table {
    /// The prefix, without what tells one image of a repository from another: a table for
    /// a tag concerns its repository.
    fn prefix(&self) -> Result<String, RegistriesConfError> {
        let own = [&self.prefix, &self.location];
        let mut own = own.into_iter().filter(|name| !name.is_empty()).peekable();
        let prefix = *own.peek().ok_or(RegistriesConfError::Table)?;
        let mirrors = self.mirror.iter().map(|Object(mirror)| &mirror.location);
        if !own.chain(mirrors).all(|name| is_location(name)) {
            return Err(RegistriesConfError::Table);
        }
        let name = prefix.trim_end_matches('/');
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        let end = name
            .rfind('/')
            .and_then(|slash| Some(slash + name[slash..].find(':')?));
        Ok(name[..end.unwrap_or(name.len())].to_ascii_lowercase())
    }
}

/// Whether skopeo would accept a location or prefix: a name without a scheme.
fn is_location(text: &str) -> bool {
    let text = text.trim_end_matches('/');
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains("://")
}

/// Whether a prefix matches a name up to the end of a component, or of a host before its
/// port, which skopeo takes for an end as well. `*.` stands for one or more labels.
fn covers(prefix: &str, name: &str) -> bool {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(['/', ':']);
    match prefix.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => {
            let domain = name.find('/').unwrap_or(name.len());
            let mut matches = name
                .match_indices(suffix)
                .take_while(|(at, _)| *at < domain);
            matches.any(|(at, _)| ends(&name[at + suffix.len()..]))
        }
        _ => name.strip_prefix(prefix).is_some_and(ends),
    }
}
