//! `--engine`: when the client is used, and when skopeo is.

use std::fs;
use std::process::Command;

use test_support::loopback::{Behaviour, PING, Registry, digest, samples};
use test_support::program::harness::Cache;

use super::{fetch, run};

/// A fetch in one attempt.
fn fetch_by(engine: &str, cache: &Cache, registry: &Registry, digest: &str) -> Command {
    let engine = format!("--engine={engine}");
    let options = [&engine, "--tls-verify=false", "--retry-times=0"];
    fetch(cache, registry, &[digest], &options)
}

/// Number of runs of skopeo, each of which pings.
fn skopeo_runs(registry: &Registry) -> usize {
    let received = registry.received();
    received
        .iter()
        .filter(|request| request.target == PING)
        .count()
}

#[test]
fn other_bytes_are_asked_of_skopeo_once() {
    let wrong = || Behaviour::Status {
        status: "200 OK",
        headers: Vec::new(),
        body: "<html>".to_owned(),
    };
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.behave_once(&digest, [wrong()]);
    run(&mut fetch_by("auto", &cache, &registry, &digest)).assert_status(0);
    assert_eq!((registry.requests(&digest), skopeo_runs(&registry)), (2, 1));

    let cache = Cache::new();
    registry.behave(&digest, wrong());
    run(&mut fetch_by("auto", &cache, &registry, &digest))
        .assert_status(10)
        .assert_says("digest mismatch");
    assert_eq!((registry.requests(&digest), skopeo_runs(&registry)), (4, 2));
    cache.assert_empty();
}

#[test]
fn skopeo_is_not_needed_for_a_success() {
    for engine in ["auto", "registry"] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        let mut command = fetch_by(engine, &cache, &registry, &digest);
        run(command.env("PATH", cache.beside("nothing"))).assert_status(0);
        assert_eq!(cache.objects(), [digest]);
        assert_eq!(skopeo_runs(&registry), 0);
    }
}

#[test]
fn failure_without_skopeo_has_the_words_of_the_client() {
    let teapot = Behaviour::error("418 I'm a teapot", "X", "short and stout");
    let html = Behaviour::error("200 OK", "X", "log in");
    for (behaviour, status, words) in [
        (
            Behaviour::not_found(),
            13,
            "not found: HTTP 404 Not Found: manifest unknown",
        ),
        (
            Behaviour::unauthorized(),
            12,
            "authentication failed: HTTP 401",
        ),
        (
            Behaviour::status("503 Service Unavailable"),
            14,
            "registry error: HTTP 503",
        ),
        (Behaviour::HangUp, 14, "network error: "),
        (html, 10, "digest mismatch: "),
        (teapot, 1, "HTTP 418 I'm a teapot: short and stout"),
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, behaviour);
        let outputs = ["auto", "registry"].map(|engine| {
            let mut command = fetch_by(engine, &cache, &registry, &digest);
            let output = run(command.env("PATH", cache.beside("nothing")));
            output.assert_status(status).assert_says(words);
            cache.assert_empty();
            // The last line has the time.
            let lines = output.stderr.lines().map(str::to_owned);
            lines
                .take_while(|line| !line.contains(" fetched, "))
                .collect::<Vec<_>>()
        });
        assert_eq!(outputs[0], outputs[1]);
    }
}

/// Who answered is then the client's exchange, and no command was run.
#[test]
fn audit_log_of_a_run_without_skopeo_verifies_and_names_the_registry() {
    for behaviour in [
        Behaviour::error("200 OK", "X", "log in"),
        Behaviour::not_found(),
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, behaviour);
        let log = cache.beside("log").display().to_string();
        let mut command = fetch_by("auto", &cache, &registry, &digest);
        command.args(["--audit-log", &log, "--quiet"]);
        run(command.env("PATH", cache.beside("nothing")));
        cache.run(["audit", "verify", &log]).assert_status(0);
        let recorded = fs::read_to_string(&log).expect("a log");
        assert!(!recorded.contains("argv"), "{recorded}");
        let shown = cache.run(["audit", "show", &log]).stdout;
        let endpoint = format!(" http://{} ", registry.address());
        assert!(shown.contains(&endpoint), "{shown}");
    }
}

/// What the gate leaves to skopeo, the client alone refuses with the reason.
#[test]
fn refusal_of_the_gate_is_a_failure_without_a_connection() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let table = format!(
        "[[registry]]\nprefix = \"{}\"\nblocked = true\n",
        registry.address()
    );
    let helper = serde_json::json!({ "credHelpers": { registry.address(): "x" } }).to_string();
    for (variable, content, words) in [
        ("CONTAINERS_REGISTRIES_CONF", &*table, "has a table for "),
        (
            "CONTAINERS_REGISTRIES_CONF",
            "[[registry",
            "registries.conf: ",
        ),
        ("REGISTRY_AUTH_FILE", &helper, "credential helper"),
        ("REGISTRY_AUTH_FILE", "no JSON", "cannot parse "),
    ] {
        let file = cache.beside("file");
        fs::write(&file, content).expect("a file");
        let mut command = fetch_by("registry", &cache, &registry, &digest);
        run(command.env(variable, &file))
            .assert_status(1)
            .assert_says(words);
    }
    let mut command = fetch_by("registry", &cache, &registry, &digest);
    run(command.env("https_proxy", "http://127.0.0.1:1"))
        .assert_status(1)
        .assert_says("a proxy is set (https_proxy)");
    assert_eq!(registry.connections(), 0);
    cache.assert_empty();
}

#[test]
fn silence_is_not_asked_of_skopeo() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = digest(b"");
    registry.behave(&digest, Behaviour::Silence);
    let mut command = fetch_by("auto", &cache, &registry, &digest);
    run(command.arg("--command-timeout=1s")).assert_status(14);
    assert_eq!((registry.requests(&digest), skopeo_runs(&registry)), (1, 0));
}
