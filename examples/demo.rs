//! Fetches from a registry of its own by real skopeo, and shows each transition:
//! `make demo`.
#![allow(
    clippy::expect_used,
    reason = "a demonstration that can't go on says why"
)]

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use loopback::{Registry, samples};
use skopeo_index::cancel::Cancel;
use skopeo_index::executor::{Executor, Id, Report, Step, Unrecorded, Witness};
use skopeo_index::machine::{Method, Network, Plan};
use skopeo_index::perform::{Engine, Performer};
use skopeo_index::request::{Request, Source, TlsVerify};
use skopeo_index::skopeo::{Options, Process};
use skopeo_index::store::{RealDisk, Store};

fn main() {
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
    let tampered = loopback::digest(b"what was pushed");
    registry.put_as(&tampered, samples::nested());

    let show = |title: &str, digests: &[&str]| {
        println!("\n{title}");
        fetch(&cache, registry.address(), digests);
    };
    show("An OCI index and a Docker manifest list:", &[&oci, &docker]);
    show("The first again, from the cache:", &[&oci]);
    show("A single image, where an index is wanted:", &[&image]);
    show(
        "An index that isn't the one that was asked for:",
        &[&tampered],
    );

    println!("\nThe cache, rehashed:");
    let store = Store::new(cache, RealDisk);
    for digest in store.objects().expect("a cache that can be listed") {
        let seen = store.read(digest).expect("an object that can be read");
        let sound = if seen.hashes_to(digest) {
            "sound"
        } else {
            "CORRUPT"
        };
        println!("  {sound} {digest}");
    }
}

fn fetch(cache: &Path, registry: &str, digests: &[&str]) {
    let name: skopeo_index::request::ImageName =
        format!("{registry}/demo/app").parse().expect("a name");
    let source = Source::Docker {
        tls_verify: TlsVerify::Skip,
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
    let cancel = Cancel::new(None).expect("a pipe");
    let executor = Executor {
        performer: Performer {
            store: &store,
            engine: Engine::Skopeo {
                runner: &Process::new("skopeo".into()),
                options: &Options::default(),
                command_timeout: Duration::from_secs(30),
            },
            retry_delay: Duration::from_secs(1),
            cancel: &cancel,
        },
        plan: Plan {
            method: Method::Raw,
            attempts: NonZeroU32::MIN,
            network: Network::Allowed,
        },
        jobs: NonZeroUsize::MIN,
        witnesses: &[&Show],
    };
    executor
        .run(&requests, |_| {})
        .expect("no halt on a real disk");
    store.close().expect("an empty staging directory");
}

/// Prints what happens.
struct Show;

impl Witness for Show {
    fn began(&self, _: Id, request: &Request) {
        println!("  {request}");
    }

    fn transition(&self, _: Id, _: &Request, step: &Step) -> Result<(), Unrecorded> {
        let event = &step.event;
        let by = event.outcome.kind();
        println!("    {} ─ {by} ─▶ {}", event.from, event.to);
        Ok(())
    }

    fn ended(&self, _: Id, report: &Report) {
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
