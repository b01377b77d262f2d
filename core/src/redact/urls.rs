//! The parts of URLs (RFC 3986) that may be secret.

use std::ops::Range;

use super::words;
use crate::digest::Digest;

/// Finds userinfo, parameters, query and fragment of every URL: scheme, host and path stay.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '\\');
    words(text, is_end)
        .chain(quoted(text))
        .flat_map(|(start, word)| {
            let found = find_in_word(word).into_iter();
            found.map(move |range| start + range.start..start + range.end)
        })
        .collect()
}

/// The URLs in quotes, as Go writes them (`%q`): they may have any character.
fn quoted(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let starts = text.match_indices('"').map(|(at, quote)| at + quote.len());
    starts.filter_map(move |start| {
        let rest = &text[start..];
        let is_url = rest.starts_with('/') || rest.trim_start_matches(is_scheme).starts_with("://");
        // An escaped quote starts nothing here, and is a quote once it is decoded.
        let is_start = is_url && !text[..start - 1].ends_with('\\');
        let mut escaped = false;
        let is_end = |byte: u8| {
            let is_end = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            is_end
        };
        let end = is_start.then(|| rest.bytes().position(is_end))??;
        Some((start, &rest[..end]))
    })
}

/// The same of a word, which is a URL, a relative one, or neither. The path of a URL may have
/// another in it.
fn find_in_word(word: &str) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), 0);
    for (nth, part) in word.split("://").enumerate() {
        let is_url = nth > 0;
        let query = part.find(['?', '#']);
        let query = query.filter(|at| is_url || word[start + at..].contains('='));
        let path = &part[..query.unwrap_or(part.len())];
        let user = userinfo(path).filter(|_| is_url);
        found.extend(user.map(|end| start..start + end));
        let host = user.unwrap_or(0);
        let parameter = parameter(&path[host..], is_url).map(|at| host + at);
        if let Some(delimiter) = parameter.or(query) {
            // What a message appends to a URL stays: `URL": refused`, `URL: EOF`.
            let end = word.strip_suffix(':').unwrap_or(word).len();
            let secret = start + delimiter + 1..end;
            found.extend(Some(secret).filter(|secret| !secret.is_empty()));
            break;
        }
        start += part.len() + "://".len();
    }
    found
}

/// The end of the userinfo. A password may have slashes, which Go quotes when it refuses the
/// URL. `docker://name@sha256:…` names a digest, not a user.
fn userinfo(path: &str) -> Option<usize> {
    let is_digest = |text: &str| {
        let digest = text.get(..Digest::TEXT_LEN);
        digest.is_some_and(|digest| digest.parse::<Digest>().is_ok())
    };
    let mut at = path.rmatch_indices('@').map(|(at, _)| at);
    at.find(|at| !is_digest(&path[at + 1..]))
}

/// The delimiter of the first parameter, as in `;sig` and `&sig=…`. Outside of URLs, a
/// semicolon is followed by those of media types.
fn parameter(path: &str, is_url: bool) -> Option<usize> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let mut found = path.match_indices([';', '&']);
    let found = found.find(|(at, delimiter)| match *delimiter {
        ";" => is_url,
        _ => path[at + 1..].trim_start_matches(is_name).starts_with('='),
    });
    found.map(|(at, _)| at)
}
