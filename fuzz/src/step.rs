//! The machine with any outcomes.

use arbitrary::{Arbitrary, Result, Unstructured};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{
    CacheEntry, CancelReason, ContentInfo, EffectError, FailureKind, Fetch, FetchPolicy,
    ManifestBytes, Method, Network, Outcome, OutcomeKind, Placement, Staging, State, TABLE, Task,
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

/// Only an index with the requested digest, which each verifier has approved, is committed; every transition is in the table;
/// a final state is final; a replay of the events goes through the same states.
pub fn target(data: &[u8]) {
    // Once the input is used up, it yields zeros, so there is always a walk.
    let _result = walk(&mut Unstructured::new(data));
}

fn document(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=7)? {
        n @ 0..6 => DOCUMENTS[n].to_vec(),
        _ => u.arbitrary()?,
    })
}

fn error(u: &mut Unstructured<'_>) -> Result<EffectError> {
    let kind = *u.choose(&[
        FailureKind::Network,
        FailureKind::Timeout,
        FailureKind::Server,
        FailureKind::RateLimited,
        FailureKind::NotFound,
        FailureKind::Authentication,
        FailureKind::TooLarge,
        FailureKind::SkopeoNotFound,
        FailureKind::Other,
    ])?;
    Ok(match u.int_in_range(0..=3)? {
        0 => EffectError::Cancelled {
            reason: CancelReason::Interrupted,
        },
        1 => EffectError::AuditLog {
            error: String::arbitrary(u)?,
        },
        _ => EffectError::Command {
            kind,
            message: String::arbitrary(u)?,
        },
    })
}

fn outcome(u: &mut Unstructured<'_>) -> Result<Outcome<ManifestBytes>> {
    let looked_up = |entry| Outcome::LookedUp { entry };
    Ok(match u.int_in_range(0..=14)? {
        0 => looked_up(CacheEntry::Absent),
        1 => looked_up(file(u)?),
        2 => looked_up(oversized(u)?),
        3 => looked_up(CacheEntry::NotAFile),
        4 => Outcome::Quarantined {
            name: u.arbitrary()?,
        },
        5 => Outcome::Staged {
            staging: Staging::new(u.arbitrary()?),
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
            read_back: file(u)?,
            placement: if u.arbitrary()? {
                Placement::New
            } else {
                Placement::Replaced(u.arbitrary()?)
            },
        },
        12 => Outcome::Failed { error: error(u)? },
        13 => Outcome::VerifierExited {
            message: u.arbitrary()?,
            status: u.int_in_range(0..=1)?,
        },
        _ => Outcome::Published {
            placement: Placement::AlreadyThere,
            read_back: match u.int_in_range(0..=3)? {
                0 => CacheEntry::Absent,
                1 => CacheEntry::NotAFile,
                2 => oversized(u)?,
                _ => file(u)?,
            },
        },
    })
}

fn file(u: &mut Unstructured<'_>) -> Result<CacheEntry<ManifestBytes>> {
    let content = document(u)?.into();
    Ok(CacheEntry::File { content })
}

fn oversized(u: &mut Unstructured<'_>) -> Result<CacheEntry<ManifestBytes>> {
    let size = u.arbitrary()?;
    Ok(CacheEntry::Oversized { size })
}

fn walk(u: &mut Unstructured<'_>) -> Result<()> {
    let digest = Digest::of(&document(u)?);
    let location = Location::Docker {
        tls_verify: TlsVerify::Unset,
    };
    let policy = FetchPolicy {
        method: *u.choose(&[Method::Raw, Method::SkopeoCopy])?,
        attempts: u.int_in_range(1..=3)?.try_into().expect("not 0"),
        network: *u.choose(&[Network::Allowed, Network::Allowed, Network::Offline])?,
    };
    let request = Request::new("a".parse().expect("a name"), location, digest);
    let task = Task {
        request,
        policy,
        verifiers: u.int_in_range(0..=2)?,
    };
    let mut fetch = Fetch::<ManifestBytes>::new(task.clone());
    let mut replayed = Fetch::<ContentInfo>::new(task);
    let (mut approvals, mut last_entry) = (0, None);
    for _ in 0..STEPS {
        let outcome = outcome(u)?;
        let (before, ended) = (fetch.clone(), fetch.wants().is_none());
        fetch = match fetch.step(outcome.clone()) {
            Err(refusal) => {
                assert_eq!(refusal.state, before);
                refusal.state
            }
            Ok((next, event)) => {
                assert!(!ended, "{event:?} after a final state");
                assert_eq!((event.from, event.to), (before.state(), next.state()));
                let row = |row: &&skopeo_index_core::machine::TableRow| {
                    (row.from, row.on, row.to) == (event.from, outcome.kind(), event.to)
                };
                assert!(
                    TABLE.iter().any(|r| row(&r)),
                    "{event:?} is not in the table"
                );
                let (again, same) = replayed
                    .step(event.outcome.clone())
                    .expect("a valid outcome");
                assert_eq!(same, event);
                replayed = again;
                approvals += u8::from(event.outcome.kind() == OutcomeKind::VerifierExited);
                if let Outcome::LookedUp { entry }
                | Outcome::Published {
                    read_back: entry, ..
                } = outcome
                {
                    last_entry = Some(entry);
                }
                if next.state() == State::Committed {
                    let Some(CacheEntry::File { content }) = &last_entry else {
                        panic!("committed without bytes: {event:?}")
                    };
                    assert_eq!(Digest::of(content.as_slice()), digest);
                    assert!(Index::parse(content.as_slice()).is_ok());
                    assert_eq!(approvals, next.task().verifiers);
                }
                next
            }
        };
        assert_eq!(fetch.state(), replayed.state());
    }
    Ok(())
}
