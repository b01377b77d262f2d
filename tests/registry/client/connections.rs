//! Kept connections, and those that the registry closed.

use test_support::loopback::{Behaviour, Registry, Then, samples};
use test_support::program::harness::{Cache, RunOutput};

use super::{ONE_ATTEMPT, fetch, run};

/// Fetches one index after the other.
fn fetch_in_turn(cache: &Cache, registry: &Registry, digests: &[String]) -> RunOutput {
    let options = [&ONE_ATTEMPT[..], &["--tls-verify=false", "--jobs=1"]].concat();
    let digests: Vec<_> = digests.iter().map(String::as_str).collect();
    run(&mut fetch(cache, registry, &digests, &options))
}

fn indexes(registry: &Registry, count: usize) -> Vec<String> {
    let put = |n| registry.put(samples::distinct(n));
    (0..count).map(put).collect()
}

#[test]
fn connection_is_kept() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digests = indexes(&registry, 20);
    fetch_in_turn(&cache, &registry, &digests).assert_status(0);
    assert_eq!(registry.connections(), 1);
    assert_eq!(registry.received().len(), 20);
}

#[test]
fn connection_is_kept_after_an_error() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digests = indexes(&registry, 4);
    registry.behave(&digests[1], Behaviour::not_found());
    fetch_in_turn(&cache, &registry, &digests).assert_status(13);
    assert_eq!(registry.connections(), 1);
}

/// The registry closes the connection once it has the second request.
#[test]
fn dead_connection_is_replaced_once() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digests = indexes(&registry, 2);
    registry.behave_once(&digests[1], [Behaviour::HangUp]);
    fetch_in_turn(&cache, &registry, &digests).assert_status(0);
    assert_eq!(registry.requests(&digests[1]), 2);
    assert_eq!(registry.connections(), 2);

    let (registry, cache) = (Registry::start(), Cache::new());
    let digests = indexes(&registry, 2);
    registry.behave(&digests[1], Behaviour::HangUp);
    fetch_in_turn(&cache, &registry, &digests).assert_status(14);
    assert_eq!(registry.requests(&digests[1]), 2);
    assert_eq!(cache.objects(), digests[..1]);
}

#[test]
fn new_connection_that_is_closed_is_not_replaced() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digests = indexes(&registry, 1);
    registry.behave(&digests[0], Behaviour::HangUp);
    fetch_in_turn(&cache, &registry, &digests).assert_status(14);
    // An end that closes may speak TLS instead.
    assert_eq!(registry.requests(&digests[0]), 1);
}

/// Each answer is complete, and says nothing of the end of the connection.
#[test]
fn connection_that_closes_after_each_answer_costs_no_request() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let documents: Vec<_> = (0..8).map(samples::distinct).collect();
    let digests: Vec<_> = documents
        .iter()
        .cloned()
        .map(|document| registry.put(document))
        .collect();
    for (document, digest) in documents.iter().zip(&digests) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            document.len()
        );
        let answer = [head.as_bytes(), document].concat();
        registry.behave(digest, Behaviour::Bytes(answer, Then::Close));
    }
    fetch_in_turn(&cache, &registry, &digests).assert_status(0);
    // The end may arrive only after the next request was sent, which is then repeated.
    let requests = registry.received().len();
    assert!((8..16).contains(&requests), "{requests}");
    assert_eq!(cache.objects().len(), 8);
}
