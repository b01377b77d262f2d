//! Drives a fetch to Committed by hand, with bytes in memory: `cargo run -p
//! skopeo-index-core --example drive`.

use std::num::NonZeroU32;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    CacheEntry, Effect, Fetch, FetchPolicy, ManifestBytes, Method, Network, Outcome, Placement,
    Staging, Task,
};
use skopeo_index_core::request::{Location, Request, TlsVerify};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What a registry would send. The digest is what a user would ask for.
    let index = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
    let digest = Digest::of(&index);
    let location = Location::Docker {
        tls_verify: TlsVerify::Unset,
    };
    let request = Request::new("quay.io/example/app:1".parse()?, location, digest);
    let policy = FetchPolicy {
        attempts: NonZeroU32::MIN,
        method: Method::Raw,
        network: Network::Allowed,
    };

    let mut fetch = Fetch::<ManifestBytes>::new(Task {
        request,
        policy,
        verifiers: 0,
    });
    // The machine names the next effect. A caller performs it and reports an outcome.
    while let Some(effect) = fetch.wants() {
        let outcome = match &effect {
            // Look at the cache's object of this digest. This cache is empty, so nothing in it
            // can be corrupt and need quarantine.
            Effect::LookUp { .. } | Effect::Quarantine { .. } => Outcome::LookedUp {
                entry: CacheEntry::Absent,
            },
            // Reserve a name to write to.
            Effect::Stage => Outcome::Staged {
                staging: Staging::new("staging/0".to_owned()),
            },
            // Fetch the bytes. The outcome doesn't say whether they are right: the
            // machine parses and hashes them itself. Try other bytes here.
            Effect::Fetch { .. } => Outcome::Fetched {
                content: index.clone().into(),
            },
            // Bytes are an index, SHA-256 is the digest: write them, sync, read them
            // again. The machine compares what was read with what it verified.
            Effect::Publish { content, .. } => Outcome::Published {
                placement: Placement::New,
                read_back: CacheEntry::File {
                    content: (*content).clone(),
                },
            },
            // Nothing to do between two checks that need no effect (method raw).
            Effect::Continue => Outcome::Continued,
            // Run a program that approves the bytes. This task has none.
            Effect::Authenticate { .. } => Outcome::VerifierExited {
                message: String::new(),
                status: 0,
            },
            // Wait before the next attempt, after a transient failure.
            Effect::Backoff { .. } => Outcome::BackoffElapsed,
            // Method copy only.
            Effect::ReadCopy { .. } | Effect::ManifestDigest { .. } => {
                return Err("not an effect of method raw".into());
            }
        };
        // An outcome that doesn't answer the effect comes back as a refusal.
        let (next, event) = fetch.step(outcome)?;
        println!("{} -> {}: {}", event.from, event.to, event.outcome.kind());
        fetch = next;
    }
    match fetch {
        Fetch::Committed(committed) => println!(
            "committed {} ({} bytes, {} attempt)",
            committed.task().request,
            committed.size(),
            committed.attempts()
        ),
        Fetch::Failed(failed) => println!("failed in {}: {failed}", failed.state()),
        _ => unreachable!("a fetch without a wanted effect has ended"),
    }
    Ok(())
}
