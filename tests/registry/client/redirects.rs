//! Redirects: few, never to plain HTTP, and to another host only without credentials.

use std::fs;

use test_support::loopback::{Behaviour, Certificate, Registry, samples};
use test_support::program::harness::Cache;

use super::{ONE_ATTEMPT, assert_fails, fetch, fetch_once, run};

/// The address of a manifest.
fn url(registry: &Registry, digest: &str) -> String {
    format!("http://{}/v2/app/manifests/{digest}", registry.address())
}

/// Two registries; the first redirects to the second, which has the index.
fn redirecting() -> (Registry, Registry, String) {
    let (registry, other) = (Registry::start(), Registry::start());
    let digest = other.put(samples::empty());
    registry.behave(&digest, Behaviour::redirect(&url(&other, &digest)));
    (registry, other, digest)
}

#[test]
fn redirect_without_credentials_is_followed_to_another_host() {
    let (registry, other, digest) = redirecting();
    let cache = Cache::new();
    fetch_once(&cache, &registry, &digest).assert_status(0);
    assert_eq!(cache.objects(), [digest.as_str()]);
    assert_eq!(registry.requests(&digest), 1);
    assert_eq!(other.requests(&digest), 1);
}

/// The record and the statement name the repository that the redirect led to, if it is one.
#[test]
fn audit_log_of_a_redirect_names_the_repository_that_answered() {
    let (registry, other) = (Registry::start(), Registry::start());
    let digest = other.put(samples::empty());
    for (path, repository) in [("/v2/x/y", Some("x/y")), ("/elsewhere", None)] {
        let to = format!("http://{}{path}/manifests/{digest}", other.address());
        registry.behave(&digest, Behaviour::redirect(&to));
        let cache = Cache::new();
        let log = cache.beside("log").display().to_string();
        let more = ["--tls-verify=false", "--audit-log", &log];
        let options = [&ONE_ATTEMPT[..], &more].concat();
        run(&mut fetch(&cache, &registry, &[&digest], &options)).assert_status(0);
        cache.run(["audit", "verify", &log]).assert_status(0);
        let recorded = fs::read_to_string(&log).expect("a log");
        let id = "--verifier-id=https://example.com";
        let export = ["audit", "export", &log, "--in-toto", "--all", id];
        let statement = cache.run(export).stdout;
        match repository {
            Some(repository) => {
                let member = format!("\"repository\":\"{repository}\"");
                assert!(recorded.contains(&member), "{recorded}");
                let repository = repository.replace('/', "%2F");
                let url = format!("?repository_url={}%2F{repository}\"", other.address());
                assert!(statement.contains(&url), "{statement}");
            }
            None => {
                assert!(!recorded.contains("repository"), "{recorded}");
                assert!(!statement.contains("repository_url"), "{statement}");
            }
        }
    }
}

#[test]
fn credentials_do_not_follow_a_redirect() {
    let (registry, other, digest) = redirecting();
    let redirect = Behaviour::redirect(&url(&other, &digest));
    let cache = Cache::new();
    let file = cache.beside("auth.json");
    let auth = serde_json::json!({ "auths": {
        registry.address(): { "auth": "YWxpY2U6c2VjcmV0" },
    } });
    fs::write(&file, auth.to_string()).expect("a file");
    registry.behave_once(&digest, [Behaviour::unauthorized(), redirect]);
    let options = [
        &ONE_ATTEMPT[..],
        &[
            "--tls-verify=false",
            "--authfile",
            file.to_str().expect("UTF-8"),
        ],
    ];
    run(&mut fetch(&cache, &registry, &[&digest], &options.concat())).assert_status(0);
    let last = registry.received().pop().expect("a request");
    assert_eq!(
        last.authorization.as_deref(),
        Some("Basic YWxpY2U6c2VjcmV0")
    );
    let at_other: Vec<_> = other
        .received()
        .into_iter()
        .map(|r| r.authorization)
        .collect();
    assert_eq!(at_other, [None]);

    // A challenge of the other host isn't answered.
    other.behave(&digest, Behaviour::unauthorized());
    let cache = Cache::new();
    run(&mut fetch(&cache, &registry, &[&digest], &options.concat())).assert_status(12);
    assert!(
        other
            .received()
            .iter()
            .all(|request| request.authorization.is_none())
    );
    cache.assert_empty();
}

/// Neither is in a record or a message, also where the registry repeats it in its realm.
#[test]
fn redirect_that_has_a_password_in_it_is_not_followed() {
    let secret = "s3cr3tpassw0rd";
    for location in [
        format!("http://{secret}.example.invalid/v2/app/manifests/x"),
        format!("/v2/{secret}/manifests/x"),
        format!("/x?{}", secret.replace('s', "%73")),
    ] {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        let redirect = Behaviour::redirect(&location);
        registry.behave_once(&digest, [Behaviour::unauthorized(), redirect]);
        let realm = format!("http://{secret}.example.invalid/");
        registry.behave(&digest, Behaviour::bearer_at(&realm));
        let cache = Cache::new();
        let (file, log) = (cache.beside("auth.json"), cache.beside("log"));
        let auth = "YWxpY2U6czNjcjN0cGFzc3cwcmQ=";
        let auths = serde_json::json!({ "auths": { registry.address(): { "auth": auth } } });
        fs::write(&file, auths.to_string()).expect("a file");
        let [authfile, log_file] = [&file, &log].map(|path| path.to_str().expect("UTF-8"));
        let files = [
            "--tls-verify=false",
            "--authfile",
            authfile,
            "--audit-log",
            log_file,
        ];
        for words in ["has credentials in it", "credentials are not sent to "] {
            let options = [&ONE_ATTEMPT[..], &files].concat();
            let output = run(&mut fetch(&cache, &registry, &[&digest], &options));
            output.assert_status(1).assert_says(words);
            assert!(!output.stderr.contains(secret), "{output:?}");
        }
        let recorded = fs::read_to_string(&log).expect("a log");
        assert!(!recorded.contains(secret), "{recorded}");
    }
}

#[test]
fn token_does_not_follow_a_redirect() {
    let (registry, other, digest) = redirecting();
    registry.require("Bearer t0ken", Behaviour::bearer(registry.address()));
    registry.put_as("/token", r#"{"token":"t0ken"}"#);
    let cache = Cache::new();
    fetch_once(&cache, &registry, &digest).assert_status(0);
    let last = registry.received().pop().expect("a request");
    assert_eq!(last.authorization.as_deref(), Some("Bearer t0ken"));
    let at_other: Vec<_> = other
        .received()
        .into_iter()
        .map(|r| r.authorization)
        .collect();
    assert_eq!(at_other, [None]);
}

#[test]
fn sixth_redirect_is_not_followed_whether_or_not_a_token_is_required() {
    for challenges in [0, 1] {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        let challenge = Behaviour::bearer(registry.address());
        registry.put_as("/token", r#"{"token":"t0ken"}"#);
        registry.behave_once(&digest, std::iter::repeat_n(challenge, challenges));
        registry.behave(&digest, Behaviour::RedirectLoop);
        assert_fails(&registry, &digest, 1).assert_says("too many redirects");
        assert_eq!(registry.requests(&digest), challenges + 1 + 5);
    }
}

#[test]
fn fifth_redirect_is_followed() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let redirect = Behaviour::redirect(&url(&registry, &digest));
    registry.behave_once(&digest, std::iter::repeat_n(redirect, 5));
    let cache = Cache::new();
    fetch_once(&cache, &registry, &digest).assert_status(0);
    assert_eq!(cache.objects(), [digest.as_str()]);
}

#[test]
fn redirect_to_no_url_fails() {
    for location in ["", "ftp://127.0.0.1/", "http://a b/", "x\u{e9}"] {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        registry.behave(&digest, Behaviour::redirect(location));
        assert_fails(&registry, &digest, 1).assert_says("redirect: ");
    }
}

#[test]
fn redirect_without_scheme_or_host_is_followed() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let path = format!("/v2/app/manifests/{digest}");
    for location in [path.clone(), format!("//{}{path}", registry.address())] {
        registry.behave_once(&digest, [Behaviour::redirect(&location)]);
        let cache = Cache::new();
        fetch_once(&cache, &registry, &digest).assert_status(0);
        assert_eq!(cache.objects(), [digest.as_str()]);
    }
}

#[test]
fn redirect_without_location_fails() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(&digest, Behaviour::status("302 Found"));
    assert_fails(&registry, &digest, 1)
        .assert_says("unexpected answer: cannot follow the redirect: no valid Location");
}

/// The failure is the redirect's: the registry has answered, and is not tried by HTTPS.
#[test]
fn redirect_to_a_dead_host_is_a_network_error() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(&digest, Behaviour::redirect("http://127.0.0.1:1/"));
    assert_fails(&registry, &digest, 14).assert_says("network error: ");
    assert_eq!(registry.connections(), 1);
}

#[test]
fn redirect_from_https_to_http_is_not_followed() {
    let (registry, other) = (Registry::with_tls(Certificate::Valid), Registry::start());
    let digest = registry.put(samples::empty());
    registry.behave(&digest, Behaviour::redirect(&url(&other, &digest)));
    let dir = registry.cert_dir();
    let cert_dir = ["--cert-dir", dir.to_str().expect("UTF-8")];
    for tls in [&cert_dir[..], &["--tls-verify=false"]] {
        let cache = Cache::new();
        let options = [&ONE_ATTEMPT[..], tls].concat();
        run(&mut fetch(&cache, &registry, &[&digest], &options))
            .assert_status(1)
            .assert_says("is not followed");
        cache.assert_empty();
    }
    assert_eq!(other.connections(), 0);
}

/// Another host may have a table of its own.
#[test]
fn redirect_to_another_host_is_not_followed_beside_a_registry_table() {
    let (registry, other, digest) = redirecting();
    let cache = Cache::new();
    let conf = cache.beside("registries.conf");
    fs::write(
        &conf,
        "[[registry]]\nprefix = \"quay.io\"\nblocked = true\n",
    )
    .expect("a file");
    let options = [&ONE_ATTEMPT[..], &["--tls-verify=false"]].concat();
    let mut command = fetch(&cache, &registry, &[&digest], &options);
    run(command.env("CONTAINERS_REGISTRIES_CONF", conf))
        .assert_status(1)
        .assert_says("is not followed");
    assert_eq!(other.connections(), 0);
}
