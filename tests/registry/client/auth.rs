//! Credentials and tokens: who gets them, and how often they are requested.

use std::collections::BTreeSet;
use std::fs;

use test_support::loopback::{
    Behaviour, Certificate, Registry, TOKEN, digest as digest_of, samples,
};
use test_support::program::harness::{Cache, RunOutput};

use super::{ONE_ATTEMPT, fetch, fetch_once, reference, run};

/// `alice:secret`.
const BASIC: &str = "YWxpY2U6c2VjcmV0";

/// Fetches with credentials for the registry of `registry`, without TLS verification.
fn fetch_with_password(cache: &Cache, registry: &Registry, digest: &str) -> RunOutput {
    let file = write_credentials(cache, registry);
    let options = [
        &ONE_ATTEMPT[..],
        &["--tls-verify=false", "--authfile", &file],
    ]
    .concat();
    run(&mut fetch(cache, registry, &[digest], &options))
}

fn write_credentials(cache: &Cache, registry: &Registry) -> String {
    let file = cache.beside("auth.json");
    let auths = serde_json::json!({ "auths": { registry.address(): { "auth": BASIC } } });
    fs::write(&file, auths.to_string()).expect("a file");
    file.to_str().expect("UTF-8").to_owned()
}

fn authorizations(registry: &Registry) -> Vec<Option<String>> {
    let received = registry.received().into_iter();
    received.map(|request| request.authorization).collect()
}

/// A registry that requires a token of this token server.
fn with_token_server(server: &Registry) -> (Registry, String) {
    let registry = Registry::start();
    registry.require("Bearer t0ken", Behaviour::bearer(server.address()));
    server.put_as(TOKEN, r#"{"token":"t0ken"}"#);
    let digest = registry.put(samples::empty());
    (registry, digest)
}

#[test]
fn endless_401_ends_with_an_authentication_error() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.put_as(TOKEN, r#"{"token":"t0ken"}"#);
    for (challenge, sent) in [
        (Behaviour::unauthorized(), 2),
        (Behaviour::bearer(registry.address()), 3),
        (Behaviour::status("401 Unauthorized"), 1),
    ] {
        let before = registry.requests(&digest);
        registry.behave(&digest, challenge);
        let cache = Cache::new();
        fetch_with_password(&cache, &registry, &digest).assert_status(12);
        cache.assert_empty();
        assert_eq!(registry.requests(&digest) - before, sent);
    }
}

#[test]
fn credentials_are_sent_only_after_a_challenge_of_their_registry() {
    let (registry, other) = (Registry::start(), Registry::start());
    let digest = registry.put(samples::empty());
    other.put_as(&digest, samples::empty());
    other.require("Basic any", Behaviour::unauthorized());
    let cache = Cache::new();
    let file = write_credentials(&cache, &registry);
    let options = [
        &ONE_ATTEMPT[..],
        &["--tls-verify=false", "--authfile", &file],
    ]
    .concat();
    run(&mut fetch(&cache, &other, &[&digest], &options)).assert_status(12);
    assert_eq!(authorizations(&other), [None]);

    run(&mut fetch(&cache, &registry, &[&digest], &options)).assert_status(0);
    assert_eq!(authorizations(&registry), [None]);

    registry.require(&format!("Basic {BASIC}"), Behaviour::unauthorized());
    let cache = Cache::new();
    fetch_with_password(&cache, &registry, &digest).assert_status(0);
    let basic = Some(format!("Basic {BASIC}"));
    assert_eq!(authorizations(&registry), [None, None, basic]);
}

#[test]
fn token_server_on_another_host_or_port_gets_no_credentials() {
    let server = Registry::start();
    let (registry, digest) = with_token_server(&server);
    let cache = Cache::new();
    fetch_with_password(&cache, &registry, &digest)
        .assert_status(1)
        .assert_says("the registry client can't be used: credentials are not sent to ")
        .assert_says("which is not the host and port of the registry")
        .assert_says("hint: --engine auto uses skopeo ");
    assert_eq!(server.connections(), 0);
    cache.assert_empty();

    fetch_once(&cache, &registry, &digest).assert_status(0);
    assert_eq!(authorizations(&server), [None]);
}

#[test]
fn token_server_of_the_registry_gets_its_credentials() {
    let registry = Registry::start();
    registry.require("Bearer t0ken", Behaviour::bearer(registry.address()));
    registry.put_as(TOKEN, r#"{"access_token":"t0ken"}"#);
    let (digest, cache) = (registry.put(samples::empty()), Cache::new());
    fetch_with_password(&cache, &registry, &digest).assert_status(0);
    let [basic, bearer] = [format!("Basic {BASIC}"), "Bearer t0ken".to_owned()];
    assert_eq!(authorizations(&registry), [None, Some(basic), Some(bearer)]);
    let received = registry.received();
    let query = "service=loopback&scope=repository%3Aapp%3Apull";
    assert_eq!(received[1].target, format!("{TOKEN}?{query}"));
}

/// The challenge comes over HTTPS.
#[test]
fn token_server_without_https_gets_no_request() {
    let (registry, server) = (Registry::with_tls(Certificate::Valid), Registry::start());
    registry.require("Bearer t0ken", Behaviour::bearer(server.address()));
    let digest = registry.put(samples::empty());
    let dir = registry.cert_dir();
    let cert_dir = ["--cert-dir", dir.to_str().expect("UTF-8")];
    let cache = Cache::new();
    run(&mut fetch(
        &cache,
        &registry,
        &[&digest],
        &[&ONE_ATTEMPT[..], &cert_dir].concat(),
    ))
    .assert_status(1)
    .assert_says("no token is requested from ")
    .assert_says(", which has no TLS");
    assert_eq!(server.connections(), 0);
}

#[test]
fn missing_token_server_is_not_a_missing_manifest() {
    let server = Registry::start();
    let (registry, digest) = with_token_server(&server);
    server.behave(TOKEN, Behaviour::not_found());
    let cache = Cache::new();
    fetch_once(&cache, &registry, &digest)
        .assert_status(1)
        .assert_says("no registry answers there: ");
}

/// Number of requests by target, references left out.
fn count(registry: &Registry, part: &str) -> usize {
    let received = registry.received();
    received
        .iter()
        .filter(|request| request.target.contains(part))
        .count()
}

#[test]
fn one_token_for_64_indexes_of_a_repository_over_few_connections() {
    let registry = Registry::with_tls(Certificate::Valid);
    let realm = format!("https://{}{TOKEN}", registry.address());
    registry.require("Bearer t0ken", Behaviour::bearer_at(&realm));
    registry.put_as(TOKEN, r#"{"token":"t0ken","expires_in":300}"#);
    let digests: Vec<_> = (0..64)
        .map(|n| registry.put(samples::distinct(n)))
        .collect();
    let dir = registry.cert_dir();
    let options = [
        "--engine=registry",
        "--jobs=8",
        "--cert-dir",
        dir.to_str().expect("UTF-8"),
    ];
    let cache = Cache::new();
    let digests: Vec<_> = digests.iter().map(String::as_str).collect();
    run(&mut fetch(&cache, &registry, &digests, &options)).assert_status(0);
    assert_eq!(cache.objects().len(), 64);
    assert_eq!(count(&registry, TOKEN), 1);
    let challenges = authorizations(&registry)
        .iter()
        .filter(|a| a.is_none())
        .count()
        - 1;
    assert!(
        challenges <= registry.connections(),
        "{challenges} challenges"
    );
    assert_eq!(count(&registry, "/manifests/"), 64 + challenges);
    assert_eq!(registry.received().len(), 64 + challenges + 1, "no ping");
    assert!(registry.connections() <= 8, "{}", registry.connections());
}

#[test]
fn each_repository_has_a_token_of_its_own() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.require("Bearer t0ken", Behaviour::bearer(registry.address()));
    registry.put_as(TOKEN, r#"{"token":"t0ken"}"#);
    let references = (0..6).map(|n| {
        let digest = registry.put(samples::distinct(n));
        format!("{}/app{}@{digest}", registry.address(), n % 2)
    });
    let mut args = vec!["fetch".to_owned(), "--tls-verify=false".to_owned()];
    args.push("--engine=registry".to_owned());
    args.extend(references);
    cache.run(args).assert_status(0);
    let tokens = registry
        .received()
        .into_iter()
        .map(|request| request.target);
    let tokens: Vec<_> = tokens.filter(|target| target.starts_with(TOKEN)).collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(BTreeSet::from_iter(tokens).len(), 2);
}

/// The requests that wait for a token share its failure.
#[test]
fn failed_token_request_is_not_repeated_for_each_index() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.require("Bearer t0ken", Behaviour::bearer(registry.address()));
    registry.behave(TOKEN, Behaviour::Silence);
    let digests: Vec<_> = (0..4).map(|n| registry.put(samples::distinct(n))).collect();
    let references = digests.iter().map(|digest| reference(&registry, digest));
    let args = [
        "fetch",
        "--tls-verify=false",
        "--engine=registry",
        "--retry-times=0",
    ];
    let args = args.map(str::to_owned).into_iter().chain(references);
    cache
        .run(args.chain(["--command-timeout=5s".to_owned()]))
        .assert_status(14);
    assert_eq!(count(&registry, TOKEN), 1);
    assert_eq!(count(&registry, "/manifests/"), 4);
    cache.assert_empty();
}

#[test]
fn expired_token_is_requested_anew_once() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.require("Bearer new", Behaviour::bearer(registry.address()));
    let old = Behaviour::Status {
        status: "200 OK",
        headers: Vec::new(),
        body: r#"{"token":"old"}"#.to_owned(),
    };
    registry.put_as(TOKEN, r#"{"token":"new"}"#);
    registry.behave_once(TOKEN, [old]);
    let digest = registry.put(samples::empty());
    assert_eq!(digest, digest_of(&samples::empty()));
    fetch_once(&cache, &registry, &digest).assert_status(0);
    let bearers: Vec<_> = authorizations(&registry).into_iter().flatten().collect();
    assert_eq!(bearers, ["Bearer old", "Bearer new"]);
}
