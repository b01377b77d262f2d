//! Challenges: how a registry asks for credentials (RFC 9110, section 11.6.1).

use std::collections::BTreeMap;

use super::{Repository, Url, UrlError};
use crate::escape::percent_encode;

/// Maximum length in bytes of all `WWW-Authenticate` headers of a response together:
/// those of real registries have some hundred.
pub const MAX_CHALLENGE_LEN: usize = 8 << 10;

/// A challenge that a client can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// `Basic`: user and password (RFC 7617).
    Basic,
    /// `Bearer`: a token of a token server.
    Bearer(BearerChallenge),
}

/// Where to get a bearer token (distribution's token authentication).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerChallenge {
    realm: Url,
    service: Option<String>,
    scope: Option<String>,
}

/// Why `WWW-Authenticate` can't be read.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// A header is outside the grammar.
    #[error("invalid WWW-Authenticate header: expected SCHEME NAME=\"VALUE\", …")]
    Syntax,
    /// A parameter occurs twice in a challenge.
    #[error("WWW-Authenticate header has a parameter twice")]
    Duplicate,
    /// A bearer challenge names no token server.
    #[error("WWW-Authenticate header has no realm")]
    NoRealm,
    /// The URL of the token server is not accepted.
    #[error("invalid realm in the WWW-Authenticate header: {0}")]
    Realm(#[from] UrlError),
    /// The headers have this many bytes, more than [`MAX_CHALLENGE_LEN`].
    #[error("WWW-Authenticate headers have {0} bytes, the limit is {MAX_CHALLENGE_LEN}")]
    TooLong(usize),
}

impl Challenge {
    /// Parses the values of all `WWW-Authenticate` headers of a response. Challenges of
    /// unknown schemes are left out.
    ///
    /// # Errors
    /// The first violation, also in a challenge of an unknown scheme.
    pub fn parse_all<'h>(
        headers: impl IntoIterator<Item = &'h str>,
    ) -> Result<Vec<Self>, ChallengeError> {
        let (mut challenges, mut length) = (Vec::new(), 0);
        for header in headers {
            length += header.len();
            if length > MAX_CHALLENGE_LEN {
                return Err(ChallengeError::TooLong(length));
            }
            for challenge in parse_header(header)? {
                challenges.extend(Self::known(challenge)?);
            }
        }
        Ok(challenges)
    }

    fn known(challenge: RawChallenge) -> Result<Option<Self>, ChallengeError> {
        let RawChallenge { scheme, mut params } = challenge;
        Ok(match scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Self::Basic),
            "bearer" => {
                let realm = params.remove("realm").ok_or(ChallengeError::NoRealm)?;
                Some(Self::Bearer(BearerChallenge {
                    realm: realm.parse()?,
                    service: params.remove("service"),
                    scope: params.remove("scope"),
                }))
            }
            _ => None,
        })
    }
}

impl BearerChallenge {
    /// The token server.
    #[must_use]
    pub const fn realm(&self) -> &Url {
        &self.realm
    }

    /// The service that the token is for.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// The scope that the registry asks for.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Where to get a token that allows pulling from a repository. Like skopeo, asks for
    /// that scope and not for the registry's: a registry can't widen what a token allows.
    #[must_use]
    pub fn token_url(&self, repository: &Repository) -> Url {
        let mut url = self.realm.clone();
        let service = self
            .service
            .as_deref()
            .filter(|service| !service.is_empty());
        if let Some(service) = service {
            url.append_query(&format!("service={}", percent_encode(service, b"-._~")));
        }
        let scope = format!("repository:{}:pull", repository.path());
        url.append_query(&format!("scope={}", percent_encode(&scope, b"-._~")));
        url
    }
}

/// A challenge of any scheme. Names of parameters are in lower case.
struct RawChallenge {
    scheme: String,
    params: BTreeMap<String, String>,
}

/// ```text
/// header    = [ challenge ] *( "," [ challenge ] )
/// challenge = scheme [ 1*SP ( token68 / [ param ] *( "," [ param ] ) ) ]
/// param     = token BWS "=" BWS ( token / quoted-string )
/// ```
///
/// A comma ends a parameter or a challenge: what follows is a parameter if it has a `=`.
fn parse_header(header: &str) -> Result<Vec<RawChallenge>, ChallengeError> {
    let mut challenges: Vec<RawChallenge> = Vec::new();
    let mut rest = Rest(header);
    rest.skip(&[' ', '\t', ',']);
    while !rest.0.is_empty() {
        let name = rest.token()?;
        let is_spaced = rest.0.starts_with(' ');
        rest.skip(&[' ', '\t']);
        if rest.0.starts_with('=') {
            let challenge = challenges.last_mut().ok_or(ChallengeError::Syntax)?;
            challenge.insert(name, rest.value()?)?;
        } else {
            let (scheme, params) = (name.to_owned(), BTreeMap::new());
            let mut challenge = RawChallenge { scheme, params };
            // The first parameter follows without a comma.
            if is_spaced && !rest.is_at_end() && !rest.skip_token68() {
                let name = rest.token()?;
                rest.skip(&[' ', '\t']);
                challenge.insert(name, rest.value()?)?;
            }
            challenges.push(challenge);
        }
        rest.skip(&[' ', '\t']);
        if !rest.is_at_end() {
            return Err(ChallengeError::Syntax);
        }
        rest.skip(&[' ', '\t', ',']);
    }
    Ok(challenges)
}

impl RawChallenge {
    fn insert(&mut self, name: &str, value: String) -> Result<(), ChallengeError> {
        match self.params.insert(name.to_ascii_lowercase(), value) {
            None => Ok(()),
            Some(_) => Err(ChallengeError::Duplicate),
        }
    }
}

/// What is left of a header.
struct Rest<'h>(&'h str);

impl<'h> Rest<'h> {
    fn skip(&mut self, characters: &[char]) {
        self.0 = self.0.trim_start_matches(characters);
    }

    fn take(&mut self, end: usize) -> &'h str {
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// RFC 9110, section 5.6.2.
    fn token(&mut self) -> Result<&'h str, ChallengeError> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        match self.take(end) {
            "" => Err(ChallengeError::Syntax),
            token => Ok(token),
        }
    }

    /// Whether an element of the header's list ends here.
    fn is_at_end(&self) -> bool {
        self.0.is_empty() || self.0.starts_with(',')
    }

    /// `=` and a value.
    fn value(&mut self) -> Result<String, ChallengeError> {
        self.0 = self.0.strip_prefix('=').ok_or(ChallengeError::Syntax)?;
        self.skip(&[' ', '\t']);
        if self.0.starts_with('"') {
            return self.quoted_string();
        }
        self.token().map(str::to_owned)
    }

    /// RFC 9110, section 5.6.4.
    fn quoted_string(&mut self) -> Result<String, ChallengeError> {
        let (mut value, mut escaped) = (String::new(), false);
        for (at, c) in self.0.char_indices().skip(1) {
            match c {
                c if c.is_control() && c != '\t' => break,
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    self.take(at + 1);
                    return Ok(value);
                }
                c => {
                    value.push(c);
                    escaped = false;
                }
            }
        }
        Err(ChallengeError::Syntax)
    }

    /// Skips a token68 that is a whole element (RFC 9110, section 11.2).
    fn skip_token68(&mut self) -> bool {
        let is_token68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let after = self.0.trim_start_matches(is_token68);
        let is_found = after.len() < self.0.len();
        let after = Self(
            after
                .trim_start_matches('=')
                .trim_start_matches([' ', '\t']),
        );
        let is_whole = is_found && after.is_at_end();
        if is_whole {
            *self = after;
        }
        is_whole
    }
}
