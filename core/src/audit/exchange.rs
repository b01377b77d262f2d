//! Who answered: the registry client's exchanges, and where a fetch's bytes came from.

use serde::{Deserialize, Serialize};

use super::program::{SkopeoIdentity, VerifierRecord};
use super::record::RunInfo;
use crate::digest::Digest;
use crate::registry::{Repository, Url};
use crate::skopeo::RegistryAnswer;

/// An exchange of the registry client: its last request, and the answer if there was one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRecord {
    /// Scheme, host and port of the last request: `https://quay.io`.
    pub endpoint: String,
    /// The duration, with tokens and redirects.
    pub milliseconds: u64,
    /// Address and port that the request was sent to; `None` where it was not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The repository whose manifest was requested there; `None` where a redirect led to
    /// something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The HTTP status; `None` without a complete answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The TLS session; `None` over plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsRecord>,
}

impl ExchangeRecord {
    /// The repository at the last endpoint, if its manifest was requested.
    pub(super) fn repository(&self) -> Option<Repository> {
        let url: Url = self.endpoint.parse().ok()?;
        Repository::at(url.authority(), self.repository.as_ref()?)
    }
}

/// A TLS session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsRecord {
    /// SHA-256 of the server's certificate (DER).
    pub certificate: Digest,
    /// The version: `1.2` or `1.3`.
    pub version: String,
}

/// Where a fetch's bytes came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOrigin {
    /// Who brought them; `None` for a hit and for another cache's object.
    pub engine: Option<FetchEngine>,
    /// The run of the fetch.
    pub run: RunInfo,
    /// The verifiers that ran, in their order.
    pub verifiers: Vec<VerifierRecord>,
}

/// Who brought a fetch's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEngine {
    /// The registry client.
    Registry(ExchangeRecord),
    /// skopeo.
    Skopeo {
        /// The binary.
        identity: SkopeoIdentity,
        /// The registry that answered; `None` for a container storage, and where it is not
        /// known.
        answer: Option<RegistryAnswer>,
    },
}
