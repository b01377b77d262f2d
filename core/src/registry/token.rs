//! Bearer tokens, as a token server sends them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::object::Object;

/// Maximum size of a token document in bytes: a token or two, and a few words.
pub const MAX_TOKEN_DOCUMENT: usize = 64 << 10;

/// Maximum length of a token in bytes: servers rarely accept longer headers.
pub const MAX_TOKEN_LEN: usize = 16 << 10;

/// Lifetime of a token that names none, or less (distribution's token specification:
/// "defaults to 60 seconds", "should never be returned with less than 60 seconds to live").
const MIN_LIFETIME: Duration = Duration::from_secs(60);

/// Maximum lifetime that is believed, so that adding it to a clock can't overflow.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    value: String,
    lifetime: Duration,
}

/// Why a document is not a token.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The document is larger than [`MAX_TOKEN_DOCUMENT`].
    #[error("token document has more than {MAX_TOKEN_DOCUMENT} bytes")]
    DocumentTooLong,
    /// The document is not JSON of the expected form.
    #[error("token document is not valid JSON with a token")]
    Json,
    /// There is neither `token` nor `access_token`.
    #[error("token document has no token")]
    Missing,
    /// The token is longer than [`MAX_TOKEN_LEN`].
    #[error("token has {0} bytes, the limit is {MAX_TOKEN_LEN}")]
    TooLong(usize),
    /// The token has a character that RFC 6750 excludes.
    #[error("token has a character that is not allowed in a header")]
    Character,
}

/// The members that skopeo reads.
#[derive(Deserialize)]
struct Document {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<i64>,
}

impl Token {
    /// Parses the body of a token server's response.
    ///
    /// # Errors
    /// If it has no token that can be sent in a header.
    pub fn parse(json: &[u8]) -> Result<Self, TokenError> {
        if json.len() > MAX_TOKEN_DOCUMENT {
            return Err(TokenError::DocumentTooLong);
        }
        let parsed = serde_json::from_slice(json);
        let Object::<Document>(document) = parsed.map_err(|_| TokenError::Json)?;
        let value = [document.token, document.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty())
            .ok_or(TokenError::Missing)?;
        if value.len() > MAX_TOKEN_LEN {
            return Err(TokenError::TooLong(value.len()));
        }
        // RFC 6750, section 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" /
        // "+" / "/" ) *"="
        let text = value.trim_end_matches('=');
        let is_b64 = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
        if text.is_empty() || !text.bytes().all(is_b64) {
            return Err(TokenError::Character);
        }
        let seconds = document.expires_in.unwrap_or_default();
        let lifetime = Duration::from_secs(seconds.try_into().unwrap_or_default());
        Ok(Self {
            value,
            lifetime: lifetime.clamp(MIN_LIFETIME, MAX_LIFETIME),
        })
    }

    /// The value of the header `Authorization`.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.value)
    }

    /// How long the token is valid after it was issued.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut token = f.debug_struct("Token");
        token.field("lifetime", &self.lifetime);
        token.finish_non_exhaustive()
    }
}
