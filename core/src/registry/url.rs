//! URLs of token servers.

use std::fmt;
use std::str::FromStr;

use crate::request::is_domain;

/// Maximum length of a URL in bytes: servers rarely accept a longer request line
/// (RFC 9110, section 4.1, recommends 8,000 octets).
pub const MAX_URL_LEN: usize = 8000;

/// An absolute `http` or `https` URL without user information and fragment:
///
/// ```text
/// ("http" | "https") "://" HOST [":" PORT] ["/" PATH] ["?" QUERY]
/// ```
///
/// Its parts can be sent in a request line and in a header as they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    authority: String,
    /// Path and query; starts with `/`.
    target: String,
}

/// Scheme of a [`Url`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Why a text is not a [`Url`].
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is neither `http` nor `https`.
    #[error("URL does not start with https:// or http://")]
    Scheme,
    /// The host is outside the grammar of image names' registries.
    #[error("URL has no valid HOST[:PORT]")]
    Authority,
    /// A character isn't allowed in path or query (RFC 3986), or starts a fragment.
    #[error("URL has a character that is not allowed in path or query")]
    Character,
    /// The URL has this many bytes, more than [`MAX_URL_LEN`].
    #[error("URL has {0} bytes, the limit is {MAX_URL_LEN}")]
    TooLong(usize),
}

impl Scheme {
    /// The scheme as in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Url {
    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `HOST[:PORT]`, in the case of the input.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// `SCHEME://HOST[:PORT]`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }

    /// Path and query, as in a request line.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Appends a query, whose text must be percent-encoded.
    pub(super) fn append_query(&mut self, query: &str) {
        let separator = match self.target.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        self.target.push_str(separator);
        self.target.push_str(query);
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_URL_LEN {
            return Err(UrlError::TooLong(text.len()));
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let known = [Scheme::Http, Scheme::Https];
        let scheme = known
            .into_iter()
            .find(|known| scheme.eq_ignore_ascii_case(known.as_str()))
            .ok_or(UrlError::Scheme)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if !is_domain(authority) {
            return Err(UrlError::Authority);
        }
        if !target.bytes().all(is_target_byte) {
            return Err(UrlError::Character);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            scheme,
            authority: authority.to_owned(),
            target: format!("{slash}{target}"),
        })
    }
}

/// Whether a byte may be in a path or query (RFC 3986, sections 3.3 and 3.4).
const fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!'..=b'/' | b':'..=b'@' | b'_' | b'~')
            && !matches!(byte, b'"' | b'#' | b'<' | b'>')
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.scheme.as_str(), &self.authority);
        write!(f, "{scheme}://{authority}{}", self.target)
    }
}
