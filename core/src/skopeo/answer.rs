//! Which registry answered a command, by skopeo's debug lines.
//!
//! ```text
//!  Trying to access "mirror.example/x/app@sha256:…"            a source of registries.conf
//!  GET https://mirror.example/v2/x/app/manifests/sha256:…      the request
//!  Content-Type from manifest GET is "…"                       an answer came
//!  Accessing "mirror.example/x/app@sha256:…" failed: …         the next source is tried
//! ```
//!
//! skopeo 1.9.3, 1.18 and 1.22 have the same messages. Registries choose text in some of
//! them, never at a message's beginning: only the URL of a token server follows `GET`, with
//! a query.

use serde::{Deserialize, Serialize};

use super::SkopeoCommand;
use super::stderr::debug_messages;
use crate::digest::Digest;
use crate::registry::{Repository, Scheme, Url};
use crate::request::{ImageName, Location, TlsVerify};

/// Who answered skopeo's request for a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryAnswer {
    /// Scheme, host and port that skopeo asked: `https://quay.io`. skopeo does not say
    /// whether it was redirected from there.
    pub endpoint: String,
    /// The repository there, which is another one than the name's for some mirrors.
    pub repository: String,
}

impl RegistryAnswer {
    /// The last answer to a command's request for its manifest; `None` where skopeo's debug
    /// lines show none.
    #[must_use]
    pub fn of_command(command: &SkopeoCommand<'_>, stderr: &[u8]) -> Option<Self> {
        let (SkopeoCommand::InspectRaw(request) | SkopeoCommand::CopyIndex { request, .. }) =
            command
        else {
            return None;
        };
        let stderr = String::from_utf8_lossy(stderr);
        let (mut source, mut asked, mut answer) = (None, None, None);
        for message in debug_messages(&stderr) {
            if let Some(reference) = message.strip_prefix("Trying to access ") {
                source = parse_source(reference, request.digest());
                (asked, answer) = (None, None);
            } else if let Some(url) = message.strip_prefix("GET ") {
                let of_source = |source| Self::of_request(source, request.digest(), url);
                asked = source.as_ref().and_then(of_source).or(asked);
            } else if message.starts_with("Content-Type from manifest GET is ") {
                answer = asked.take().or(answer);
            }
        }
        answer
    }

    /// The endpoint of a request, if that is the one for the source's manifest.
    fn of_request(source: &Repository, digest: Digest, url: &str) -> Option<Self> {
        let endpoint = url.strip_suffix(&source.manifest_path(digest))?;
        let (scheme, host) = endpoint.split_once("://")?;
        (["https", "http"].contains(&scheme) && host == source.host()).then(|| Self {
            endpoint: endpoint.to_owned(),
            repository: source.path().to_owned(),
        })
    }

    /// Host and port of the endpoint, and the repository there; `None` where skopeo can't
    /// have asked it for an image at `location`.
    #[must_use]
    pub fn parse(&self, location: &Location) -> Option<Repository> {
        let Location::Docker { tls_verify } = location else {
            return None;
        };
        let url: Url = self.endpoint.parse().ok()?;
        let is_plain = self.endpoint == format!("{}://{}", url.scheme().as_str(), url.authority());
        let may_be_http = *tls_verify != TlsVerify::Always;
        let repository = Repository::at(url.authority(), &self.repository)?;
        (is_plain && (url.scheme() == Scheme::Https || may_be_http)).then_some(repository)
    }
}

/// The repository of a reference in quotes: `"HOST/PATH@DIGEST"`.
fn parse_source(reference: &str, digest: Digest) -> Option<Repository> {
    let reference = reference.strip_prefix('"')?.strip_suffix('"')?;
    let name: ImageName = reference
        .strip_suffix(&format!("@{digest}"))?
        .parse()
        .ok()?;
    name.tag().is_none().then(|| Repository::of(&name))
}
