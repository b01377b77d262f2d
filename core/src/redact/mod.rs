//! Removes secrets from foreign text: what skopeo and registries print may repeat the
//! credentials that were sent to them.
//!
//! Foreign text passes a [`Redactor`] before it becomes part of a message. It
//! replaces known secrets wherever they stand, credentials by their shape, and of every
//! URL all but scheme, host and path. It finds them in the text, and in what is left of it
//! once escapes are decoded, as often as they are nested.

mod credentials;
mod decoded;
mod shapes;
mod urls;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use self::decoded::{Decoded, EscapeKind};
use crate::escape::{decode_utf8, start_of};

pub use credentials::{auth_file_secrets, proxy_secrets};

/// Stands for a removed secret.
pub const REDACTED: &str = "***";

/// Secrets shorter than this are replaced as whole words only, so that a password of one
/// letter doesn't garble every message.
const MIN_ANYWHERE: usize = 4;

/// Levels of escapes that are decoded: logrus quotes a message, the message quotes text of a
/// registry, which may be JSON, in which a URL may be another's parameter.
const MAX_LEVELS: usize = 4;

/// Removes secrets from text.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a part of a secret is not replaced before the whole.
    secrets: Vec<String>,
    /// Why some secrets are not known, so that every text is withheld.
    unknown: Option<String>,
}

/// Without the secrets.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor of these secrets, in every form in which they may be printed.
    #[must_use]
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let forms: BTreeSet<String> = secrets
            .into_iter()
            .flat_map(|secret| forms(secret.as_ref()))
            .collect();
        let mut secrets: Vec<String> = forms.into_iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets,
            unknown: None,
        }
    }

    /// A redactor that can't know the secrets, for this reason: of any text, it leaves
    /// nothing.
    #[must_use]
    pub const fn withholding(reason: String) -> Self {
        Self {
            secrets: Vec::new(),
            unknown: Some(reason),
        }
    }

    /// The text without secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.redact_start(text, text.len())
    }

    /// The first `len` bytes of a text without secrets. Of a secret that continues beyond
    /// them, nothing is left.
    #[must_use]
    pub fn redact_start(&self, text: &str, len: usize) -> String {
        if let Some(reason) = &self.unknown {
            return format!("message withheld: {reason}");
        }
        let mut found = self.find_escaped(text);
        found.push(start_of(text, len).len()..text.len());
        let mut clean = replace(text, found);
        // What replaced a secret may be a part of another one. This ends: a pass that
        // changes something removes other characters than asterisks.
        loop {
            let again = replace(&clean, self.find_escaped(&clean));
            if again == clean {
                return clean;
            }
            clean = again;
        }
    }

    /// Whether a known secret stands in the text, or an unknown one may.
    #[must_use]
    pub fn may_have_secret(&self, text: &str) -> bool {
        self.unknown.is_some() || !find_escaped(text, |text| self.find_known(text)).is_empty()
    }

    fn find_escaped(&self, text: &str) -> Vec<Range<usize>> {
        let find = |text: &str| {
            let found = self.find_known(text).into_iter();
            found
                .chain(shapes::find(text))
                .chain(urls::find(text))
                .collect()
        };
        find_escaped(text, find)
    }

    fn find_known(&self, text: &str) -> Vec<Range<usize>> {
        let found = self.secrets.iter().flat_map(|it| find_known(text, it));
        found.collect()
    }
}

/// Where something stands, whatever escapes it is written with.
fn find_escaped(text: &str, find: impl Fn(&str) -> Vec<Range<usize>>) -> Vec<Range<usize>> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut level = vec![Decoded::new(text)];
    for _ in 0..=MAX_LEVELS {
        // Escapes of different kinds often come to the same in any order.
        level.retain(|decoded| seen.insert(decoded.text().to_owned()));
        for decoded in &level {
            let ranges = find(decoded.text()).into_iter();
            found.extend(ranges.map(|range| decoded.origin(range)));
        }
        let kinds = |decoded| EscapeKind::ALL.map(|kind| Decoded::decode(decoded, kind));
        level = level.iter().flat_map(kinds).flatten().collect();
    }
    found
}

/// The forms of a secret: its text, also as forms of HTML send its spaces, and base64 of its
/// bytes and of its text.
fn forms(secret: &[u8]) -> Vec<String> {
    let text = decode_utf8(secret);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    // Asterisks alone can't be told from what replaces a secret.
    if text.chars().all(|c| c == '*') {
        return Vec::new();
    }
    let base64 = [secret, text.as_bytes()]
        .into_iter()
        .flat_map(|it| [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| engine.encode(it)));
    base64
        .chain([text.to_owned(), text.replace(' ', "+")])
        .collect()
}

/// Where a known secret stands.
fn find_known<'t>(text: &'t str, secret: &'t str) -> impl Iterator<Item = Range<usize>> + 't {
    let is_word = |c: char| c.is_alphanumeric();
    let found = text.match_indices(secret);
    let ranges = found.map(|(start, found)| start..start + found.len());
    ranges.filter(move |range| {
        secret.len() >= MIN_ANYWHERE
            || !text[..range.start].ends_with(is_word) && !text[range.end..].starts_with(is_word)
    })
}

/// Replaces ranges of a text; those that overlap, once.
fn replace(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.retain(|range| text[range.clone()].contains(|c| c != '*'));
    ranges.sort_by_key(|range| (range.start, range.end));
    let (mut clean, mut end) = (String::with_capacity(text.len()), 0);
    for range in ranges {
        if range.start >= end {
            clean.extend([&text[end..range.start], REDACTED]);
        }
        end = end.max(range.end);
    }
    clean + &text[end..]
}

/// The words of a text and where each starts.
fn words<'t>(
    text: &'t str,
    is_separator: impl Fn(char) -> bool + Copy + 't,
) -> impl Iterator<Item = (usize, &'t str)> {
    let mut end = 0;
    text.split_inclusive(is_separator).map(move |word| {
        let start = end;
        end += word.len();
        (start, word.strip_suffix(is_separator).unwrap_or(word))
    })
}
