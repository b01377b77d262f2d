//! Secrets that are not known, by their shape.

use std::ops::Range;

use super::words;

/// Length from which what looks random may be a token or a capability.
const MIN_CAPABILITY: usize = 24;

/// What stays of a word that looks random, so that a reader can tell which it was.
const KEPT: usize = 4;

/// Changes between letters and digits that a word of [`MIN_CAPABILITY`] random digits, of
/// whatever base from 16, has but for one in seventy, and a name has not.
const MIN_CHANGES: usize = 5;

/// Finds credentials that follow the name of an authentication scheme (RFC 9110, section
/// 11.6.2), JSON Web Tokens, which begin with the base64 of `{"`, and what looks random, in a
/// path as well.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    let mut found = Vec::new();
    for (start, token) in words(text, move |c| !is_token(c)) {
        let jwt = token.find("eyJ");
        let jwt = jwt.filter(|at| token.len() - at >= MIN_CAPABILITY);
        let credentials = follows_scheme(&text[..start], token).then_some(0).or(jwt);
        if let Some(at) = credentials {
            found.push(start + at..start + token.len());
            continue;
        }
        for (at, segment) in words(token, |c| c == '/') {
            let at = start + at;
            if segment.len() >= MIN_CAPABILITY && !is_digest(&text[..at], segment) {
                let random = find_random(segment).into_iter();
                found.extend(random.map(|range| at + range.start..at + range.end));
            }
        }
    }
    found
}

/// Whether a token is the credentials of a scheme.
fn follows_scheme(before: &str, token: &str) -> bool {
    let words = before.trim_end_matches(' ');
    before.ends_with(' ')
        && (ends_with_ignore_case(words, "bearer") || ends_with_ignore_case(words, "basic"))
        && token.len() >= 8
        // `basic authentication` is prose.
        && token.contains(|c: char| !c.is_ascii_lowercase())
        && !token.contains("realm=")
}

/// Whether a text ends with these ASCII letters. Its length doesn't matter.
fn ends_with_ignore_case(text: &str, end: &str) -> bool {
    let start = text.len().checked_sub(end.len());
    let found = start.map(|start| &text.as_bytes()[start..]);
    found.is_some_and(|found| found.eq_ignore_ascii_case(end.as_bytes()))
}

/// Whether hexadecimal digits are a digest: they follow its algorithm, as in `sha256:e3b0…`
/// and `sha256/e3/e3b0…`.
fn is_digest(before: &str, segment: &str) -> bool {
    let near = &before.as_bytes()[before.len().saturating_sub("sha256/e3/".len())..];
    let is_algorithm = |name: &[u8]| [&b"sha256"[..], b"sha384", b"sha512"].contains(&name);
    is_hex(segment) && near.windows("sha256".len()).any(is_algorithm)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Finds what looks random: digits, capital and small letters mixed, or digits and letters
/// in turn, as in hexadecimal numbers and UUIDs. A start is kept.
fn find_random(segment: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let has = |is_of_kind: fn(&u8) -> bool| segment.bytes().any(|byte| is_of_kind(&byte));
    if has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) {
        found.push(KEPT..segment.len());
        return found;
    }
    for (at, name) in words(segment, |c| !c.is_ascii_alphanumeric() && c != '-') {
        // A UUID is one number.
        let number = name.replace('-', "");
        if is_hex(&number) && is_scrambled(&number) {
            found.push(at + KEPT..at + name.len());
            continue;
        }
        let parts = words(name, |c| c == '-').filter(|(_, part)| is_scrambled(part));
        found.extend(parts.map(|(start, part)| at + start + KEPT..at + start + part.len()));
    }
    found
}

fn is_scrambled(part: &str) -> bool {
    let is_change = |pair: &[u8]| pair[0].is_ascii_digit() != pair[1].is_ascii_digit();
    let changes = || part.as_bytes().windows(2).filter(|pair| is_change(pair));
    part.len() >= MIN_CAPABILITY && changes().count() >= MIN_CHANGES
}
