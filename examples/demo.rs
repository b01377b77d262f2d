//! Fetches with skopeo from a registry in this process and prints each transition:
//! `make demo`. Fails if a fetch does not end as announced.
#![allow(
    clippy::expect_used,
    reason = "a demonstration that can't continue fails"
)]

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use skopeo_index::fetch::{
    ByteSource, Executor, FetchId, FetchReport, Observer, Performer, Transition, Veto,
};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{Skopeo, SkopeoBinary};
use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Cause, FetchPolicy, Method, Network, ObjectStatus, Provenance};
use skopeo_index_core::request::{ImageName, Location, Request, TlsVerify};
use skopeo_index_core::skopeo::SkopeoOptions;
use test_support::loopback::{self, Registry, samples};

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
    let replaced = loopback::digest(b"the document that was pushed");
    registry.put_as(&replaced, samples::nested());

    let show = |title: &str, digests: &[&str], expected: Expected| {
        println!("\n{title}");
        let reports = fetch(&cache, registry.address(), digests);
        let all = reports.iter().all(|report| expected.matches(report));
        check(reports.len() == digests.len() && all)
    };
    let checks = [
        show(
            "An OCI index and a Docker manifest list:",
            &[&oci, &docker],
            Expected::Fetched,
        ),
        show(
            "The first again, from the cache:",
            &[&oci],
            Expected::Cached,
        ),
        show(
            "A single image instead of an index:",
            &[&image],
            Expected::NotAnIndex,
        ),
        show(
            "Another index than the requested one:",
            &[&replaced],
            Expected::DigestMismatch,
        ),
        rehash(&cache, &[&oci, &docker]),
    ];
    if checks.iter().all(|passed| *passed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How fetches should end.
#[derive(Clone, Copy)]
enum Expected {
    Fetched,
    Cached,
    NotAnIndex,
    DigestMismatch,
}

impl Expected {
    fn matches(self, report: &FetchReport) -> bool {
        match (self, &report.result) {
            (Self::Fetched, Ok(committed)) => *committed.provenance() != Provenance::Hit,
            (Self::Cached, Ok(committed)) => *committed.provenance() == Provenance::Hit,
            (Self::NotAnIndex, Err(failed)) => matches!(failed.cause(), Cause::NotAnIndex { .. }),
            (Self::DigestMismatch, Err(failed)) => {
                matches!(failed.cause(), Cause::DigestMismatch { .. })
            }
            _ => false,
        }
    }
}

fn check(passed: bool) -> bool {
    if !passed {
        println!("  UNEXPECTED");
    }
    passed
}

/// Rehashes the objects of the cache, which should be the expected ones and intact.
fn rehash(cache: &Path, expected: &[&str]) -> bool {
    println!("\nThe cache, rehashed:");
    let store = Store::at(cache.to_owned());
    let digests = store.objects().expect("the objects of the cache");
    let is_intact = |digest: &Digest| {
        let entry = store.read(*digest).expect("an object");
        let intact = matches!(entry.status(*digest), ObjectStatus::Intact { .. });
        println!("  {} {digest}", if intact { "intact" } else { "CORRUPT" });
        intact
    };
    let intact = digests.iter().filter(|digest| is_intact(digest)).count();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let names: Vec<String> = digests.iter().map(Digest::to_string).collect();
    check(intact == digests.len() && names == expected)
}

fn fetch(cache: &Path, registry: &str, digests: &[&str]) -> Vec<FetchReport> {
    let name: ImageName = format!("{registry}/demo/app").parse().expect("a name");
    let location = Location::Docker {
        tls_verify: TlsVerify::Never,
    };
    let request = |digest: &&str| {
        let digest = digest.parse().expect("a digest");
        Request::new(name.clone(), location.clone(), digest)
    };
    let requests: Vec<Request> = digests.iter().map(request).collect();

    let store = Store::at(cache.to_owned());
    let cancel = CancelToken::new(None).expect("a pipe");
    let executor = Executor {
        performer: Performer {
            store: &store,
            source: ByteSource::Skopeo(Skopeo {
                runner: &SkopeoBinary::new("skopeo".into()),
                options: &SkopeoOptions::default(),
                command_timeout: Duration::from_secs(30),
            }),
            verifiers: None,
            retry_delay: Duration::from_secs(1),
            cancel: &cancel,
        },
        policy: FetchPolicy {
            method: Method::Raw,
            attempts: NonZeroU32::MIN,
            network: Network::Allowed,
        },
        jobs: NonZeroUsize::MIN,
        observers: &[&Printer],
    };
    let mut reports = Vec::new();
    executor.run(&requests, |report| reports.push(report.clone()));
    store
        .remove_staging_dir()
        .expect("an empty staging directory");
    reports
}

/// Prints every transition.
struct Printer;

impl Observer for Printer {
    fn began(&self, _: FetchId, request: &Request) {
        println!("  {request}");
    }

    fn transition(&self, _: FetchId, _: &Request, transition: &Transition) -> Result<(), Veto> {
        let event = &transition.event;
        let outcome = event.outcome.kind();
        println!("    {} ─ {outcome} ─▶ {}", event.from, event.to);
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
            Err(failed) => println!("    {}", failed.cause()),
        }
    }
}
