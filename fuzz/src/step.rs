//! The machine, told anything.

use arbitrary::{Arbitrary, Result, Unstructured};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{
    CancelReason, ContentInfo, EffectError, FailureKind, Fetch, FetchPolicy, ManifestBytes, Method,
    Network, Outcome, Placement, Staging, State, TABLE, Task,
};
use skopeo_index_core::request::{Location, Request, TlsVerify};

/// More steps than a fetch of a few attempts takes.
const STEPS: usize = 64;

const DOCUMENTS: [&[u8]; 6] = [
    br#"{"schemaVersion":2,"manifests":[]}"#,
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
    br#"{"schemaVersion":2,"config":{},"layers":[]}"#,
    br#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
    b"{}",
    b"",
];

/// Whatever the machine is told: what it commits are bytes that it was told, an
/// index, and hash to the digest; each transition is one of the table; the end is
/// the end; and the events alone lead through the same states.
pub fn target(data: &[u8]) {
    // Bytes that are used up give zeros, so there is always a walk.
    let _walked = walk(&mut Unstructured::new(data));
}

fn document(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=7)? {
        n @ 0..6 => DOCUMENTS[n].to_vec(),
        _ => u.arbitrary()?,
    })
}

fn trouble(u: &mut Unstructured<'_>) -> Result<EffectError> {
    let class = *u.choose(&[
        FailureKind::Network,
        FailureKind::Timeout,
        FailureKind::Server,
        FailureKind::RateLimited,
        FailureKind::NotFound,
        FailureKind::Authentication,
        FailureKind::TooLarge,
        FailureKind::NoSkopeo,
        FailureKind::Other,
    ])?;
    Ok(match u.int_in_range(0..=3)? {
        0 => EffectError::Cancelled {
            why: CancelReason::Interrupted,
        },
        1 => EffectError::AuditLog {
            error: String::arbitrary(u)?,
        },
        _ => EffectError::Command {
            class,
            message: String::arbitrary(u)?,
        },
    })
}

fn outcome(u: &mut Unstructured<'_>) -> Result<Outcome<ManifestBytes>> {
    Ok(match u.int_in_range(0..=12)? {
        0 => Outcome::Absent,
        1 => Outcome::Found {
            content: document(u)?.into(),
        },
        2 => Outcome::FoundOversized {
            digest: Digest::of(&document(u)?),
            size: u.arbitrary()?,
        },
        3 => Outcome::FoundNotAFile,
        4 => Outcome::Quarantined {
            name: u.arbitrary()?,
        },
        5 => Outcome::Staged {
            at: Staging::new(u.arbitrary()?),
        },
        6 => Outcome::Fetched {
            content: document(u)?.into(),
        },
        7 => Outcome::CopyRead {
            content: document(u)?.into(),
        },
        8 => Outcome::ManifestDigest {
            digest: if u.arbitrary()? {
                Digest::of(&document(u)?).to_string()
            } else {
                u.arbitrary()?
            },
        },
        9 => Outcome::Continued,
        10 => Outcome::BackoffElapsed,
        11 => Outcome::Published {
            content: document(u)?.into(),
            placed: if u.arbitrary()? {
                Placement::New
            } else {
                Placement::Replaced(u.arbitrary()?)
            },
        },
        _ => Outcome::Failed {
            trouble: trouble(u)?,
        },
    })
}

fn walk(u: &mut Unstructured<'_>) -> Result<()> {
    let digest = Digest::of(&document(u)?);
    let source = Location::Docker {
        tls_verify: TlsVerify::Unset,
    };
    let plan = FetchPolicy {
        method: *u.choose(&[Method::Raw, Method::SkopeoCopy])?,
        attempts: u.int_in_range(1..=3)?.try_into().expect("not 0"),
        network: *u.choose(&[Network::Allowed, Network::Allowed, Network::Offline])?,
    };
    let request = Request::new("a".parse().expect("a name"), source, digest);
    let task = Task { request, plan };
    let mut fetch = Fetch::<ManifestBytes>::new(task.clone());
    let mut replayed = Fetch::<ContentInfo>::new(task);
    for _ in 0..STEPS {
        let outcome = outcome(u)?;
        let (before, ended) = (fetch.clone(), fetch.wants().is_none());
        fetch = match fetch.step(outcome.clone()) {
            Err(refused) => {
                assert_eq!(refused.state, before);
                refused.state
            }
            Ok((next, event)) => {
                assert!(!ended, "{event:?} after the end");
                assert_eq!((event.from, event.to), (before.state(), next.state()));
                let row = |row: &&skopeo_index_core::machine::TableRow| {
                    (row.from, row.on, row.to) == (event.from, outcome.kind(), event.to)
                };
                assert!(
                    TABLE.iter().any(|r| row(&r)),
                    "{event:?} is not in the table"
                );
                let (again, same) = replayed.step(event.outcome.clone()).expect("it replays");
                assert_eq!(same, event);
                replayed = again;
                if next.state() == State::Committed {
                    let (Outcome::Found { content } | Outcome::Published { content, .. }) =
                        &outcome
                    else {
                        panic!("committed without bytes: {event:?}")
                    };
                    assert_eq!(Digest::of(content.as_slice()), digest);
                    assert!(Index::parse(content.as_slice()).is_ok());
                }
                next
            }
        };
        assert_eq!(fetch.state(), replayed.state());
    }
    Ok(())
}
