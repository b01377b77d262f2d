//! Indexes that are not in the cache, fetched by the registry client.

use std::time::Duration;

use test_support::loopback::samples::{OCI_INDEX, distinct_empty};
use test_support::loopback::{DockerRegistry, Registry, Relay, TokenRegistry};

use crate::commands::{Images, PROCESSES, Tls, best_processes, row_by_jobs};
use crate::measure::{Contender, Times, Workspace, memory};
use crate::table::{Target, compare, row};

/// Latency of a relay in each direction.
const LATENCY: Duration = Duration::from_millis(25);

/// Indexes of a large run.
const MANY: usize = 1_000;

/// Indexes of a usual run.
const SOME: usize = 64;

/// Indexes of a run over a network.
const FEW: usize = 32;

/// Plain HTTP, at a real registry and at one that answers at once.
pub fn plain(workspace: &Workspace) {
    let real = DockerRegistry::plain();
    let push = |n| real.push("app", &distinct_empty(n), OCI_INDEX);
    let digests: Vec<String> = (0..MANY).map(push).collect();
    plain_at("docker-registry", workspace, real.address(), &digests);
    let loopback = Registry::start();
    for n in 0..MANY {
        loopback.put(distinct_empty(n));
    }
    plain_at("loopback", workspace, loopback.address(), &digests);
}

fn plain_at(place: &str, workspace: &Workspace, registry: &str, digests: &[String]) {
    let images = |digests| Images {
        workspace,
        registry,
        digests,
        tls: Tls::Off,
    };
    let some = images(&digests[..SOME]);
    let mut contenders = vec![some.ours_by_client(), some.curl()];
    contenders.extend(PROCESSES.map(|processes| some.skopeo(processes)));
    contenders.extend(some.other_clients());
    let times = Times::measure(contenders);
    let task = format!("{SOME} cold, {place}");
    compare_with_curl(&task, &times, Target::AtMost(1.3));
    compare_with_skopeo(&times, Target::AtLeast(8.0));
    for client in ["crane", "oras"] {
        if let Some(best) = times.best(client) {
            compare("…", times.first(), Some(best), Target::AtLeast(1.0));
        }
    }

    let many = images(digests);
    // For information: a turn takes many seconds.
    let skopeo = many.skopeo(best_processes(&times)).turns(1);
    let times = Times::measure(vec![many.ours_by_client(), many.curl(), skopeo]);
    let task = format!("{MANY} cold, {place}");
    compare_with_curl(&task, &times, Target::AtMost(1.3));
    compare_with_skopeo(&times, Target::None);
    row(
        "… peak memory",
        &memory(&many.fetch(&[])),
        "",
        "",
        "under 32 MiB",
    );
}

/// TLS and bearer tokens.
pub fn token(workspace: &Workspace) {
    let registry = TokenRegistry::start();
    let digests = put_all(&registry, SOME);
    let images = Images {
        workspace,
        registry: registry.address(),
        digests: &digests,
        tls: Tls::CertDir(registry.cert_dir()),
    };
    let mut contenders = vec![images.ours_by_client()];
    contenders.extend(PROCESSES.map(|processes| images.skopeo(processes)));
    let times = Times::measure(contenders);
    let task = format!("{SOME} cold, TLS and token");
    compare(
        &task,
        times.first(),
        times.best("skopeo, "),
        Target::AtLeast(25.0),
    );
    let count = |contender: Contender<'_>| {
        // Of earlier runs.
        registry.take_counts();
        contender.run_once();
        let counts = registry.take_counts();
        format!(
            "{} connections, {} pings, {} tokens, {} answers of 401, {} manifests",
            counts.connections, counts.pings, counts.tokens, counts.challenges, counts.manifests
        )
    };
    row(
        "… requests of a run",
        &count(images.ours("skopeo-index", &[])),
        &count(images.skopeo(best_processes(&times))),
        "",
        "at most 8 connections, 0 pings, 1 token",
    );
}

fn put_all(registry: &TokenRegistry, count: usize) -> Vec<String> {
    let put = |n| registry.put(distinct_empty(n));
    (0..count).map(put).collect()
}

/// A registry that is far away.
pub fn latency(workspace: &Workspace) {
    let near = Registry::start();
    let digests: Vec<String> = (0..FEW).map(|n| near.put(distinct_empty(n))).collect();
    let relay = Relay::to(near.address(), LATENCY);
    let images = Images {
        workspace,
        registry: relay.address(),
        digests: &digests,
        tls: Tls::Off,
    };
    let task = format!("{FEW} cold, {} ms each way", LATENCY.as_millis());
    // TCP, manifest.
    let mut others = vec![images.curl()];
    others.extend(images.ours_by_jobs("auto"));
    let times = far(&images, others, &task, 2, 1.5, 3.0);
    compare("…", times.first(), times.best("curl"), Target::None);
    row_by_jobs(&times);

    let near = TokenRegistry::start();
    let digests = put_all(&near, FEW);
    let relay = Relay::to(near.address(), LATENCY);
    let images = Images {
        workspace,
        registry: relay.address(),
        digests: &digests,
        tls: Tls::CertDir(near.cert_dir()),
    };
    // TCP, TLS, challenge, token, manifest.
    far(
        &images,
        Vec::new(),
        &format!("{task}, TLS and token"),
        5,
        1.2,
        2.8,
    );
}

/// Rows beside the time that the round trips of one fetch take, and beside plain skopeo.
fn far(
    images: &Images<'_>,
    others: Vec<Contender<'_>>,
    task: &str,
    round_trips: u32,
    at_most: f64,
    at_least: f64,
) -> Times {
    let mut contenders = vec![images.ours_by_client()];
    contenders.extend(others);
    contenders.extend(PROCESSES.map(|processes| images.skopeo(processes)));
    let times = Times::measure(contenders);
    let limit = 2 * LATENCY * round_trips;
    let limit = Some(("the limit of the latency", limit));
    compare(task, times.first(), limit, Target::AtMost(at_most));
    compare_with_skopeo(&times, Target::AtLeast(at_least));
    times
}

fn compare_with_curl(task: &str, times: &Times, target: Target) {
    compare(task, times.first(), times.best("curl"), target);
}

fn compare_with_skopeo(times: &Times, target: Target) {
    compare("…", times.first(), times.best("skopeo, "), target);
}
