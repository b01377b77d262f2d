//! Removes secrets from foreign text: what skopeo and registries print may repeat the
//! credentials that were sent to them.
//!
//! One [`Redactor`] stands at the one place where foreign text enters the program. It
//! replaces known secrets wherever they stand, credentials by their shape, and of every
//! URL all but scheme, host and path.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

use crate::escape::percent_encode;
use crate::registry::AuthEntry;

/// Stands for a removed secret.
pub const REDACTED: &str = "***";

/// Secrets shorter than this are replaced as whole words only, so that a password of one
/// letter doesn't garble every message.
const MIN_ANYWHERE: usize = 4;

/// Length from which what looks random may be a token or a capability.
const MIN_CAPABILITY: usize = 24;

/// Removes secrets from text.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Longest first, so that a part of a secret is not replaced before the whole.
    secrets: Vec<String>,
}

/// containers-auth.json(5), as far as it holds secrets.
#[derive(Deserialize)]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
}

impl AuthEntry {
    fn secrets(self) -> impl Iterator<Item = String> {
        let decoded = self.auth.as_deref().and_then(|auth| {
            let engines = [STANDARD, STANDARD_NO_PAD];
            let bytes = engines.iter().find_map(|e| e.decode(auth.trim()).ok())?;
            String::from_utf8(bytes).ok()
        });
        let password = decoded
            .as_deref()
            .and_then(|pair| pair.split_once(':'))
            .map(|(_, password)| password.to_owned());
        let given = [
            self.auth,
            self.password,
            self.identitytoken,
            self.registrytoken,
        ];
        given.into_iter().chain([decoded, password]).flatten()
    }
}

impl Redactor {
    /// A redactor of these secrets, in every form in which they may be printed.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let forms: BTreeSet<String> = secrets
            .into_iter()
            .map(|secret| secret.trim().to_owned())
            // Asterisks alone can't be told from what replaces a secret.
            .filter(|secret| secret.contains(|c| c != '*'))
            .flat_map(|secret| {
                let base64 = [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|e| e.encode(&secret));
                let quoted = [percent_encode(&secret, b"-._~"), go_quoted(&secret), secret];
                quoted.into_iter().chain(base64)
            })
            .collect();
        let mut secrets: Vec<String> = forms.into_iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// A redactor of the secrets in credentials files, and of others. A file that is not
    /// valid has no secrets that skopeo could have sent.
    #[must_use]
    pub fn of_auth_files<'f>(
        files: impl IntoIterator<Item = &'f [u8]>,
        others: impl IntoIterator<Item = String>,
    ) -> Self {
        let entries = files.into_iter().flat_map(|json| {
            // `.dockercfg` is the map alone.
            let map = serde_json::from_slice(json).unwrap_or_default();
            let file = serde_json::from_slice::<AuthFile>(json);
            let auths = file.map(|file| file.auths).unwrap_or_default();
            [auths, map].into_iter().flat_map(BTreeMap::into_values)
        });
        Self::new(entries.flat_map(AuthEntry::secrets).chain(others))
    }

    /// The text without secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut clean = self.redact_once(text);
        // What replaced a secret may be a part of another one. This ends: a pass that
        // changes something removes other characters than asterisks.
        loop {
            let again = self.redact_once(&clean);
            if again == clean {
                return clean;
            }
            clean = again;
        }
    }

    fn redact_once(&self, text: &str) -> String {
        let known = self.secrets.iter().fold(text.to_owned(), |text, secret| {
            replace_secret(&text, secret)
        });
        redact_urls(&redact_schemes(&known))
    }
}

fn replace_secret(text: &str, secret: &str) -> String {
    if secret.len() >= MIN_ANYWHERE {
        return text.replace(secret, REDACTED);
    }
    let is_word = |c: char| c.is_alphanumeric();
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(secret) {
        let after = &rest[at + secret.len()..];
        clean.push_str(&rest[..at]);
        let bounded = !clean.ends_with(is_word) && !after.starts_with(is_word);
        clean.push_str(if bounded { REDACTED } else { secret });
        rest = after;
    }
    clean + rest
}

/// Replaces credentials that follow the name of an authentication scheme (RFC 9110,
/// section 11.6.2), JSON Web Tokens, which begin with the base64 of `{"`, and what looks
/// random, in a path as well.
fn redact_schemes(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(is_token) {
        let end = rest[start..]
            .find(|c| !is_token(c))
            .map_or(rest.len(), |n| start + n);
        let (before, token) = (&rest[..start], &rest[start..end]);
        clean.push_str(before);
        let words = clean.trim_end_matches(' ');
        let follows_scheme = before.ends_with(' ')
            && (ends_with_ignore_case(words, "bearer") || ends_with_ignore_case(words, "basic"))
            && token.len() >= 8
            // `basic authentication` is prose.
            && token.contains(|c: char| !c.is_ascii_lowercase())
            && !token.contains("realm=");
        let jwt = token.find("eyJ");
        let jwt = jwt.filter(|at| token.len() - at >= MIN_CAPABILITY);
        match if follows_scheme { Some(0) } else { jwt } {
            Some(at) => clean.extend([&token[..at], REDACTED]),
            None => {
                let segments: Vec<String> = token.split('/').map(redact_segment).collect();
                clean.push_str(&segments.join("/"));
            }
        }
        rest = &rest[end..];
    }
    clean + rest
}

/// Whether a text ends with these ASCII letters. Its length doesn't matter.
fn ends_with_ignore_case(text: &str, end: &str) -> bool {
    let start = text.len().checked_sub(end.len());
    let found = start.map(|start| &text.as_bytes()[start..]);
    found.is_some_and(|found| found.eq_ignore_ascii_case(end.as_bytes()))
}

/// Keeps scheme, host and path of every URL (RFC 3986): no userinfo, query or fragment. A
/// path may have another URL in it.
fn redact_urls(text: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '\\');
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        clean.push_str(before);
        let url = &after[..after.find("://").unwrap_or(after.len())];
        let url = &url[..url.find(is_end).unwrap_or(url.len())];
        rest = &after[url.len()..];
        let query = url.find(['?', '#']);
        let url = &url[..query.unwrap_or(url.len())];
        let (authority, path) = url.split_at(url.find('/').unwrap_or(url.len()));
        // `docker://name@sha256:…` names a digest, not a user.
        let host = match authority.rfind('@') {
            Some(user) if !authority[user..].starts_with("@sha256:") => {
                clean.push_str(REDACTED);
                &authority[user..]
            }
            _ => authority,
        };
        clean.push_str(host);
        clean.push_str(path);
        if query.is_some() {
            let (url, tail) = after.split_at(after.find(is_end).unwrap_or(after.len()));
            clean.push('?');
            clean.push_str(REDACTED);
            // What a message appends to a URL stays: `URL": refused`, `URL: EOF`.
            clean.push_str(if url.ends_with(':') { ":" } else { "" });
            rest = tail;
        }
    }
    clean + rest
}

/// Cuts what looks random in the middle. Digests stay.
fn redact_segment(segment: &str) -> String {
    let random = |c: char| c.is_ascii_alphanumeric() || "-_=.~+".contains(c);
    let varied = segment.bytes().any(|b| b.is_ascii_digit())
        && segment.bytes().any(|b| b.is_ascii_uppercase())
        && segment.bytes().any(|b| b.is_ascii_lowercase());
    if segment.len() < MIN_CAPABILITY || !segment.chars().all(random) || !varied {
        return segment.to_owned();
    }
    format!("{}{REDACTED}", &segment[..4])
}

/// The text within quotes, as Go's `%q` and JSON write it.
fn go_quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
