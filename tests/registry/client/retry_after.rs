//! Retry-After: obeyed within the timeout, and else the reason.

use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::Cache;

use super::engine::skopeo_runs;
use super::{fetch, run};

fn unavailable(header: &str) -> Vec<Behaviour> {
    let statuses = ["429 Too Many Requests", "503 Service Unavailable"];
    let behaviour = |status| Behaviour::Status {
        status,
        headers: vec![header.to_owned()],
        body: String::new(),
    };
    statuses.map(behaviour).into()
}

#[test]
fn retry_after_within_the_timeout_is_obeyed() {
    for unavailable in unavailable("Retry-After: 1") {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave_once(&digest, [unavailable]);
        let options = ["--engine=registry", "--tls-verify=false", "--retry-times=1"];
        run(&mut fetch(&cache, &registry, &[&digest], &options))
            .assert_status(0)
            .assert_says("retry after 1s");
        assert_eq!(registry.requests(&digest), 2);
    }
}

/// Three attempts, of which only the first one makes a request.
#[test]
fn retry_after_beyond_the_timeout_is_refused_without_a_request() {
    let date = "Retry-After: Fri, 31 Dec 2999 23:59:59 GMT";
    for header in ["Retry-After: 3600", date] {
        for unavailable in unavailable(header) {
            for engine in ["--engine=registry", "--engine=auto"] {
                let (registry, cache) = (Registry::start(), Cache::new());
                let digest = registry.put(samples::empty());
                registry.behave(&digest, unavailable.clone());
                let options = [
                    engine,
                    "--tls-verify=false",
                    "--retry-times=2",
                    "--command-timeout=60s",
                ];
                run(&mut fetch(&cache, &registry, &[&digest], &options))
                    .assert_status(14)
                    .assert_says("rate limited: the registry asks to wait ")
                    .assert_says("longer than the timeout");
                assert_eq!((registry.requests(&digest), skopeo_runs(&registry)), (1, 0));
                cache.assert_empty();
            }
        }
    }
}

#[test]
fn registry_that_asks_to_wait_is_not_asked_by_skopeo_after_the_last_attempt() {
    for unavailable in unavailable("Retry-After: 3600") {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, unavailable);
        let options = ["--engine=auto", "--tls-verify=false", "--retry-times=0"];
        run(&mut fetch(&cache, &registry, &[&digest], &options))
            .assert_status(14)
            .assert_says("retry after 1h");
        assert_eq!((registry.requests(&digest), skopeo_runs(&registry)), (1, 0));
    }
}

/// The deadline comes before the next attempt, which would otherwise follow at once.
#[test]
fn deadline_ends_the_wait_for_retry_after() {
    for unavailable in unavailable("Retry-After: 3600") {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, unavailable);
        let options = [
            "--engine=registry",
            "--tls-verify=false",
            "--retry-times=9",
            "--command-timeout=2h",
            "--deadline=2s",
        ];
        run(&mut fetch(&cache, &registry, &[&digest], &options)).assert_status(124);
        assert_eq!(registry.requests(&digest), 1);
        cache.assert_empty();
    }
}

#[test]
fn retry_after_that_is_no_time_is_ignored() {
    for header in [
        "Retry-After: -1",
        "Retry-After: soon",
        "Retry-After: 1e9",
        "Retry-After: \u{e9}",
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave_once(&digest, unavailable(header));
        let options = ["--engine=registry", "--tls-verify=false", "--retry-times=2"];
        run(&mut fetch(&cache, &registry, &[&digest], &options)).assert_status(0);
        assert_eq!(registry.requests(&digest), 3);
    }
}
