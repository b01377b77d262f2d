//! Which exchange with a registry a transition needs, and which one its record has.

use core::net::SocketAddr;

use super::command_rules::Evidence;
use super::contradiction::Contradiction;
use super::exchange::ExchangeRecord;
use super::failure_rules::can_fail;
use super::record::SourceInfo;
use crate::machine::{Effect, EffectError, FailureKind, Method, Outcome};
use crate::registry::{Scheme, Url};
use crate::request::{Location, TlsVerify};

/// Statuses that a client sees: three digits. Those beyond 599 are invalid (RFC 9110, section
/// 15), and sent all the same.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=999;

/// Versions of TLS that the client speaks.
const TLS_VERSIONS: [&str; 2] = ["1.2", "1.3"];

impl Evidence<'_> {
    /// Checks the exchange of a transition, and whether it brought what the outcome has.
    pub(super) fn check_exchange(&self) -> Result<(), Contradiction> {
        if let Some(exchange) = &self.transition.registry {
            if !self.can_have_exchange() {
                return Err(Contradiction::UnexpectedExchange);
            }
            if !self.is_possible(exchange) {
                return Err(Contradiction::InvalidExchange);
            }
        }
        let asked = self.transition.registry.as_ref();
        match (&self.transition.command, &self.run.source) {
            (Some(_), SourceInfo::Auto) if asked.is_some_and(|it| !self.may_ask_skopeo(it)) => {
                Err(Contradiction::UnexpectedCommand)
            }
            (Some(_), SourceInfo::Auto) if !self.is_identified => {
                Err(Contradiction::UnidentifiedSkopeo)
            }
            (None, SourceInfo::Auto | SourceInfo::Registry) => self.check_result(),
            _ => Ok(()),
        }
    }

    /// Whether the registry client may have been used for the transition.
    fn can_have_exchange(&self) -> bool {
        matches!(self.run.source, SourceInfo::Auto | SourceInfo::Registry)
            && matches!(
                (self.effect, self.transition.request.location()),
                (
                    Effect::Fetch {
                        method: Method::Raw,
                        ..
                    },
                    Location::Docker { .. }
                )
            )
    }

    /// Whether an exchange can have taken place: only one with a connection has a status, and
    /// TLS where the endpoint says so.
    fn is_possible(&self, exchange: &ExchangeRecord) -> bool {
        let Ok(url) = exchange.endpoint.parse::<Url>() else {
            return false;
        };
        let is_https = url.scheme() == Scheme::Https;
        let may_be_http = matches!(
            self.transition.request.location(),
            Location::Docker {
                tls_verify: TlsVerify::Never
            }
        );
        let is_answered = match (&exchange.peer, exchange.status, &exchange.tls) {
            (None, None, None) => true,
            (Some(peer), status, tls) => {
                peer.parse().is_ok_and(is_peer)
                    && status.is_none_or(|status| STATUSES.contains(&status))
                    && tls.is_some() == is_https
                    && (tls.as_ref()).is_none_or(|tls| TLS_VERSIONS.contains(&&*tls.version))
            }
            (None, ..) => false,
        };
        // As the client writes it.
        exchange.endpoint == url.origin()
            && (is_https || may_be_http)
            && is_answered
            && (exchange.repository.is_none() || exchange.repository().is_some())
    }

    /// Whether the exchange alone can have led to the outcome.
    fn check_result(&self) -> Result<(), Contradiction> {
        let exchange = self.transition.registry.as_ref();
        let status = exchange.and_then(|exchange| exchange.status);
        let is_fetch = matches!(self.effect, Effect::Fetch { .. });
        let is_missing = match &self.transition.event.outcome {
            // Without skopeo, also bytes with another digest.
            Outcome::Fetched { .. } => status != Some(200),
            // With this kind, the gate refused before a request.
            Outcome::Failed {
                error:
                    EffectError::Command {
                        kind: FailureKind::RegistryClient,
                        ..
                    },
            } if exchange.is_none() => false,
            Outcome::Failed {
                error: EffectError::Command { kind, .. },
            } => match exchange {
                Some(_) => !can_fail(status, *kind),
                None => {
                    let by_client_alone = is_fetch && self.run.source == SourceInfo::Registry;
                    by_client_alone || self.can_have_exchange()
                }
            },
            _ => false,
        };
        match is_missing {
            true => Err(Contradiction::MissingExchange),
            false => Ok(()),
        }
    }

    /// Whether skopeo may have been asked after the exchange: the registry client's answer
    /// stands where the rate of requests is limited, and where another attempt follows.
    fn may_ask_skopeo(&self, exchange: &ExchangeRecord) -> bool {
        let is_last = matches!(
            self.effect,
            Effect::Fetch { attempt, .. } if *attempt >= self.run.policy.attempts.get()
        );
        match exchange.status.and_then(FailureKind::of_status) {
            Some(FailureKind::RateLimited) => false,
            Some(kind) => is_last || !kind.is_transient(),
            None => true,
        }
    }
}

/// Whether a connection can have this peer, whichever address or proxy the name led to: Linux has
/// none at port 0, at an unspecified address or in a group. It may be another one than the
/// endpoint's, by BPF programs of the host that replace addresses (Cilium).
fn is_peer(peer: SocketAddr) -> bool {
    peer.port() != 0 && !peer.ip().is_unspecified() && !peer.ip().is_multicast()
}
