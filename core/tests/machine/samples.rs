//! Documents, tasks and outcomes of every kind.

use std::num::NonZeroU32;

use crate::support::samples;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    CacheEntry, CancelReason, EffectError, FailureKind, FetchPolicy, ManifestBytes, Method,
    Network, Outcome, OutcomeKind, Placement, Staging, Task,
};
use skopeo_index_core::request::{Location, Request, TlsVerify};

/// One attempt, method raw, with network.
pub(crate) const ONE_ATTEMPT: FetchPolicy = FetchPolicy {
    attempts: NonZeroU32::MIN,
    method: Method::Raw,
    network: Network::Allowed,
};

pub(crate) fn request(digest: Digest) -> Request {
    let tls_verify = TlsVerify::Never;
    let name = "localhost/app".parse().expect("a name");
    Request::new(name, Location::Docker { tls_verify }, digest)
}

/// An index, another one, an image, something other than JSON.
pub(crate) fn documents() -> [Vec<u8>; 4] {
    [
        samples::oci_index(1),
        samples::docker_list(1),
        samples::single_image(),
        b"{".to_vec(),
    ]
}

/// What may be at a digest's name.
fn entries() -> Vec<CacheEntry<ManifestBytes>> {
    let files = documents().into_iter().map(|document| CacheEntry::File {
        content: document.into(),
    });
    let oversized = CacheEntry::Oversized { size: 5 << 20 };
    files
        .chain([oversized, CacheEntry::Absent, CacheEntry::NotAFile])
        .collect()
}

/// Examples of a kind of outcome. A new variant doesn't compile here until it has its
/// examples.
pub(crate) fn outcomes(kind: OutcomeKind) -> Vec<Outcome<ManifestBytes>> {
    let contents = || documents().into_iter().map(ManifestBytes::from);
    let digests = || documents().map(|document| Digest::of(&document));
    match kind {
        OutcomeKind::Absent
        | OutcomeKind::Found
        | OutcomeKind::Oversized
        | OutcomeKind::NotAFile => entries()
            .into_iter()
            .map(|entry| Outcome::LookedUp { entry })
            .filter(|outcome| outcome.kind() == kind)
            .collect(),
        OutcomeKind::Quarantined => vec![Outcome::Quarantined { name: "q".into() }],
        OutcomeKind::Staged => vec![Outcome::Staged {
            staging: Staging::new("s".into()),
        }],
        OutcomeKind::Fetched => contents()
            .map(|content| Outcome::Fetched { content })
            .collect(),
        OutcomeKind::CopyRead => contents()
            .map(|content| Outcome::CopyRead { content })
            .collect(),
        OutcomeKind::ManifestDigest => digests()
            .map(|digest| Outcome::ManifestDigest {
                digest: digest.to_string(),
            })
            .to_vec(),
        OutcomeKind::Continued => vec![Outcome::Continued],
        OutcomeKind::BackoffElapsed => vec![Outcome::BackoffElapsed],
        OutcomeKind::VerifierExited => [0, 1, -1, 256]
            .map(|status| Outcome::VerifierExited {
                message: "m".into(),
                status,
            })
            .to_vec(),
        OutcomeKind::Published => entries()
            .into_iter()
            .map(|read_back| Outcome::Published {
                placement: Placement::New,
                read_back,
            })
            .collect(),
        OutcomeKind::Failed => {
            let command = |kind| EffectError::Command {
                kind,
                message: "m".into(),
            };
            [
                command(FailureKind::Network),
                command(FailureKind::NotFound),
                EffectError::Cancelled {
                    reason: CancelReason::Deadline,
                },
            ]
            .map(|error| Outcome::Failed { error })
            .to_vec()
        }
    }
}

pub(crate) fn all_outcomes() -> Vec<Outcome<ManifestBytes>> {
    let kinds = OutcomeKind::ALL.iter().copied();
    kinds.flat_map(outcomes).collect()
}

/// A task for each document and each policy.
pub(crate) fn tasks() -> Vec<Task> {
    let mut tasks = Vec::new();
    for document in documents() {
        for method in [Method::Raw, Method::SkopeoCopy] {
            for network in [Network::Allowed, Network::Offline] {
                for attempts in [1, 2] {
                    let attempts = NonZeroU32::new(attempts).expect("not zero");
                    tasks.extend([0, 1, 2].map(|verifiers| Task {
                        request: request(Digest::of(&document)),
                        policy: FetchPolicy {
                            attempts,
                            method,
                            network,
                        },
                        verifiers,
                    }));
                }
            }
        }
    }
    tasks
}
