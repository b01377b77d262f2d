//! Fetches from a registry of its own by real skopeo, and shows each transition:
//! `make demo`. It fails where something isn't as it says.
#![allow(
    clippy::expect_used,
    reason = "a demonstration that can't go on says why"
)]

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use test_support::loopback::{Registry, samples};
use skopeo_index::cli::Status;
use skopeo_index::fetch::{ByteSource, Performer};
use skopeo_index::fetch::{Executor, FetchId, FetchReport, Observer, Transition, Veto};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::SkopeoBinary;
use skopeo_index::store::{RealDisk, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{FetchPolicy, Method, Network, Provenance};
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::SkopeoOptions;

fn main() -> ExitCode {
    let registry = Registry::start();
    let dir = tempfile::tempdir().expect("a directory");
    let cache = dir.path().join("cache");
    println!(
        "A registry at {}, a cache in {}.",
        registry.address(),
        cache.display()
    );

    let oci = registry.put(samples::oci_index(3));
    let docker = registry.put(samples::docker_list(4));
    let image = registry.put(samples::single_image());
    let tampered = test_support::loopback::digest(b"what was pushed");
    registry.put_as(&tampered, samples::nested());

    let show = |title: &str, digests: &[&str], end: End| {
        println!("\n{title}");
        let reports = fetch(&cache, registry.address(), digests);
        told(reports.len() == digests.len() && reports.iter().all(|report| end.is_of(report)))
    };
    let ends = [
        show(
            "An OCI index and a Docker manifest list:",
            &[&oci, &docker],
            End::Fetched,
        ),
        show("The first again, from the cache:", &[&oci], End::Cached),
        show(
            "A single image, where an index is wanted:",
            &[&image],
            End::Refused(Status::NotAnIndex),
        ),
        show(
            "An index that isn't the one that was asked for:",
            &[&tampered],
            End::Refused(Status::DigestMismatch),
        ),
        rehash(&cache, &[&oci, &docker]),
    ];
    match ends.iter().all(|as_said| *as_said) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// How fetches should end.
#[derive(Clone, Copy)]
enum End {
    Fetched,
    Cached,
    /// For the reason that has this exit status.
    Refused(Status),
}

impl End {
    fn is_of(self, report: &FetchReport) -> bool {
        match (self, &report.result) {
            (Self::Fetched, Ok(committed)) => *committed.provenance() != Provenance::Hit,
            (Self::Cached, Ok(committed)) => *committed.provenance() == Provenance::Hit,
            (Self::Refused(status), Err(failure)) => Status::of(&failure.cause) == status,
            _ => false,
        }
    }
}

fn told(as_said: bool) -> bool {
    if !as_said {
        println!("  NOT as it should be");
    }
    as_said
}

fn rehash(cache: &Path, expected: &[&str]) -> bool {
    println!("\nThe cache, rehashed:");
    let store = Store::new(cache.to_owned(), RealDisk);
    let digests = store.objects().expect("a cache that can be listed");
    let sound = |digest: &Digest| {
        let seen = store.read(*digest).expect("an object that can be read");
        let sound = seen.hashes_to(*digest);
        println!("  {} {digest}", if sound { "sound" } else { "CORRUPT" });
        sound
    };
    let all_sound = digests.iter().filter(|digest| sound(digest)).count() == digests.len();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let names: Vec<String> = digests.iter().map(Digest::to_string).collect();
    told(all_sound && names == expected)
}

fn fetch(cache: &Path, registry: &str, digests: &[&str]) -> Vec<FetchReport> {
    let name: skopeo_index_core::request::ImageName =
        format!("{registry}/demo/app").parse().expect("a name");
    let source = Location::Docker {
        tls_verify: TlsVerify::Never,
    };
    let request = |digest: &&str| {
        Request::new(
            name.clone(),
            source.clone(),
            digest.parse().expect("a digest"),
        )
    };
    let requests: Vec<Request> = digests.iter().map(request).collect();

    let store = Store::new(cache.to_owned(), RealDisk);
    let cancel = CancelToken::new(None).expect("a pipe");
    let executor = Executor {
        performer: Performer {
            store: &store,
            engine: ByteSource::Skopeo {
                runner: &SkopeoBinary::new("skopeo".into()),
                options: &SkopeoOptions::default(),
                command_timeout: Duration::from_secs(30),
            },
            retry_delay: Duration::from_secs(1),
            cancel: &cancel,
        },
        plan: FetchPolicy {
            method: Method::Raw,
            attempts: NonZeroU32::MIN,
            network: Network::Allowed,
        },
        jobs: NonZeroUsize::MIN,
        witnesses: &[&Show],
    };
    let mut reports = Vec::new();
    executor
        .run(&requests, |report| reports.push(report.clone()))
        .expect("no halt on a real disk");
    store.close().expect("an empty staging directory");
    reports
}

/// Prints what happens.
struct Show;

impl Observer for Show {
    fn began(&self, _: FetchId, request: &Request) {
        println!("  {request}");
    }

    fn transition(&self, _: FetchId, _: &Request, step: &Transition) -> Result<(), Veto> {
        let event = &step.event;
        let by = event.outcome.kind();
        println!("    {} ─ {by} ─▶ {}", event.from, event.to);
        Ok(())
    }

    fn ended(&self, _: FetchId, report: &FetchReport) {
        match &report.result {
            Ok(committed) => {
                let index = committed.index();
                println!(
                    "    {}, {} manifests: {}",
                    index.media_type,
                    index.manifests,
                    index.platforms.join(", ")
                );
            }
            Err(failure) => println!("    {failure}"),
        }
    }
}
