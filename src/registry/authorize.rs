//! Answers to a registry's challenges.

use std::time::{Duration, Instant};

use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::registry::{
    BearerChallenge, Challenge, Credentials, MAX_TOKEN_DOCUMENT, Scheme, Token as TokenDocument,
    TokenError, Url,
};

use super::gate::TlsMode;
use super::http::{Answer, Get, Response, failure};
use super::manifest_request::{ManifestRequest, unexpected};
use super::tokens::{Scope, Token};

/// How long a password is sent without being asked for: longer than any run.
const PASSWORD_LIFETIME: Duration = Duration::from_secs(24 * 3600);

impl ManifestRequest<'_> {
    /// The header's value that the registry asks for; `None` where there is none.
    pub(super) fn authorize(
        &self,
        answer: &Answer,
        scope: &Scope,
        url: &Url,
        refused: Option<&str>,
    ) -> Result<Option<String>, EffectError> {
        let challenges = Challenge::parse_all(answer.challenges());
        let challenges = challenges.map_err(|error| unexpected(&error))?;
        let password = self.permit.credentials().map(Credentials::basic);
        // As containers/image: the first that is understood.
        match challenges.into_iter().next() {
            None => Ok(None),
            Some(Challenge::Basic) => {
                let Some(authorization) = password.filter(|it| Some(it.as_str()) != refused) else {
                    return Ok(None);
                };
                // Kept like a token, so that later requests are not challenged.
                let token = Token {
                    authorization,
                    expires: Instant::now() + PASSWORD_LIFETIME,
                };
                self.get_token(scope, refused, || Ok(token)).map(Some)
            }
            Some(Challenge::Bearer(bearer)) => {
                self.check_realm(bearer.realm(), url)?;
                let request = || self.request_token(&bearer, password.as_deref());
                self.get_token(scope, refused, request).map(Some)
            }
        }
    }

    fn get_token(
        &self,
        scope: &Scope,
        refused: Option<&str>,
        request: impl FnOnce() -> Result<Token, EffectError>,
    ) -> Result<String, EffectError> {
        let tokens = &self.client.tokens;
        let token = tokens.get(scope, refused, self.until, request);
        token.unwrap_or_else(|| Err(self.timeout()))
    }

    /// Checks whether a token server may be asked: only the registry's own gets its
    /// credentials.
    fn check_realm(&self, realm: &Url, url: &Url) -> Result<(), EffectError> {
        let is_of_docker = self.permit.repository().domain() == "docker.io"
            && realm.authority() == "auth.docker.io";
        let is_home = realm.authority() == url.authority() || is_of_docker;
        let is_secure = realm.scheme() == Scheme::Https || self.permit.tls() == TlsMode::Unverified;
        let refusal = if self.permit.credentials().is_some() && !is_home {
            "credentials are not sent to"
        } else if !is_secure || !(is_home || self.may_leave_host()) {
            "no token is requested from"
        } else {
            return Ok(());
        };
        let why = match is_secure {
            true => "which is not the host and port of the registry",
            false => "which has no TLS",
        };
        let message = format!("{refusal} {}, {why}", realm.origin());
        // skopeo asks any token server.
        Err(failure(FailureKind::RegistryClient, &self.redact(&message)))
    }

    fn request_token(
        &self,
        challenge: &BearerChallenge,
        password: Option<&str>,
    ) -> Result<Token, EffectError> {
        let url = challenge.token_url(self.permit.repository());
        let (response, _) = self.host.http.get(Get {
            url: &url.to_string(),
            accept: &[],
            authorization: password,
            until: self.until,
            max_body: MAX_TOKEN_DOCUMENT,
        });
        let answer = response.and_then(Response::read);
        let answer = answer.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => unexpected(&TokenError::DocumentTooLong),
            error => self.failure(&error),
        })?;
        if answer.status().as_u16() != 200 {
            return Err(match self.status_failure(&answer) {
                // The token server is missing, not the manifest.
                EffectError::Command {
                    kind: FailureKind::NotFound,
                    message,
                } => failure(FailureKind::NoRegistry, &message),
                other => other,
            });
        }
        let document = TokenDocument::parse(&answer.body);
        let document = document.map_err(|error| unexpected(&error))?;
        Ok(Token {
            authorization: document.authorization(),
            expires: Instant::now() + document.lifetime(),
        })
    }
}
