//! The secrets of credentials files and proxies.
//!
//! Go reads credentials files that this program doesn't take for valid ones: with keys in any case or
//! twice, with members of other types, with bytes that are not UTF-8. So the secrets are
//! not those of a parsed file, but of every string that a reader may take for one.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::decoded::decode_percent;
use crate::escape::{decode_utf8, unescape};
use crate::index::is_folded_equal;

/// Members with a secret (containers-auth.json(5), and Docker's `AuthConfig`).
const SECRET_KEYS: [&str; 4] = ["auth", "password", "identitytoken", "registrytoken"];

/// Base64 as Go's `encoding/base64` reads it, which does not look at unused bits.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secrets in a credentials file, however much of it is valid.
#[must_use]
pub fn auth_file_secrets(file: &[u8]) -> Vec<Vec<u8>> {
    let file = decode_utf8(file);
    let (mut secrets, mut is_secret, mut rest) = (Vec::new(), false, file.as_str());
    while let Some((text, after)) = next_string(rest) {
        rest = after;
        if after.trim_start().starts_with(':') {
            is_secret = SECRET_KEYS.iter().any(|key| is_folded_equal(&text, key));
        } else if is_secret {
            secrets.extend(decode_login(&text).iter().flat_map(|it| login_secrets(it)));
            secrets.push(text.into_bytes());
        }
    }
    secrets
}

/// The secrets in `USER:PASSWORD`: the password, and both as the scheme Basic sends them.
fn login_secrets(login: &[u8]) -> Vec<Vec<u8>> {
    // As containers/image, which trims what some programs append to a password.
    let end = login.iter().rposition(|byte| *byte != 0);
    let login = &login[..end.map_or(0, |end| end + 1)];
    let colon = login.iter().position(|byte| *byte == b':');
    match colon {
        Some(colon) => vec![login.to_vec(), login[colon + 1..].to_vec()],
        // The password is empty, and the user is the secret.
        None => vec![login.to_vec(), [login, b":"].concat()],
    }
}

/// The secrets in `http://USER:PASSWORD@HOST`, as they are written and as they are sent.
#[must_use]
pub fn proxy_secrets(url: &str) -> Vec<Vec<u8>> {
    let (_, url) = url.split_once("://").unwrap_or(("", url));
    let Some((user, _)) = url.rsplit_once('@') else {
        return Vec::new();
    };
    let mut parts = user.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let rest = decode_percent(part, &mut decoded);
        decoded.extend(rest.is_none().then_some(b'%'));
        decoded.extend_from_slice(rest.unwrap_or(part).as_bytes());
    }
    [login_secrets(user.as_bytes()), login_secrets(&decoded)].concat()
}

fn decode_login(base64: &str) -> Option<Vec<u8>> {
    let base64: String = base64.split_whitespace().collect();
    LENIENT.decode(base64).ok()
}

/// The first JSON string of a text, and what follows it.
fn next_string(text: &str) -> Option<(String, &str)> {
    let (_, text) = text.split_once('"')?;
    let (mut bytes, mut chars) = (Vec::new(), text.chars());
    loop {
        let rest = chars.as_str();
        match chars.next()? {
            '"' => return Some((decode_utf8(&bytes), chars.as_str())),
            '\\' => unescape(&mut chars, &mut bytes),
            c => bytes.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]),
        }
    }
}
