//! `--engine`: when the client is used, and when skopeo is.

use std::fs;
use std::process::Command;

use test_support::loopback::{Behaviour, PING, Registry, TOKEN, digest, samples};
use test_support::program::harness::Cache;
use test_support::schema::count_valid;

use super::{fetch, run};

/// A fetch in one attempt.
fn fetch_by(engine: &str, cache: &Cache, registry: &Registry, digest: &str) -> Command {
    let engine = format!("--engine={engine}");
    let options = [&engine, "--tls-verify=false", "--retry-times=0"];
    fetch(cache, registry, &[digest], &options)
}

/// Number of runs of skopeo, each of which pings.
pub(super) fn skopeo_runs(registry: &Registry) -> usize {
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
        (
            Behaviour::status("520 Origin Error"),
            14,
            "registry error: HTTP 520 (after 1 attempt)",
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

/// One that has begun to answer speaks the scheme, and a request that has ended in time is
/// the last one.
#[test]
fn audit_log_of_a_request_without_an_answer_names_the_scheme_that_was_spoken() {
    for behaviour in [Behaviour::Silence, Behaviour::CutShort] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, behaviour);
        let log = cache.beside("log").display().to_string();
        let mut command = fetch_by("registry", &cache, &registry, &digest);
        command.args(["--audit-log", &log, "--command-timeout=500ms"]);
        run(&mut command).assert_status(14);
        assert_eq!(registry.connections(), 1);
        cache.run(["audit", "verify", &log]).assert_status(0);
        let recorded = fs::read_to_string(&log).expect("a log");
        for (key, scheme) in [("endpoint", "http://"), ("peer", "")] {
            let member = format!("\"{key}\":\"{scheme}{}\"", registry.address());
            let member = member.replace("localhost", "127.0.0.1");
            let recorded = recorded.replace("localhost", "127.0.0.1");
            assert!(recorded.contains(&member), "{member}: {recorded}");
        }
    }
}

/// RFC 9110 has none beyond 599; HTTP clients read any three digits.
#[test]
fn audit_log_of_a_status_that_http_does_not_have_verifies() {
    for status in ["600 Unparseable", "999 Request denied"] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, Behaviour::status(status));
        let log = cache.beside("log").display().to_string();
        for engine in ["auto", "registry"] {
            let mut command = fetch_by(engine, &cache, &registry, &digest);
            run(command.args(["--audit-log", &log])).assert_status(1);
        }
        cache.run(["audit", "verify", &log]).assert_status(0);
        let recorded = fs::read(&log).expect("a log");
        let exchanges = String::from_utf8_lossy(&recorded);
        let member = format!("\"status\":{}", &status[..3]);
        assert_eq!(exchanges.matches(&member).count(), 2, "{exchanges}");
        let (valid, count) = count_valid("record", &recorded);
        assert_eq!(valid, count);
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

/// The kinds are those of skopeo's guess, of the code and of the status.
#[test]
fn kind_of_status_4xx_that_the_client_saw_overrides_words_of_the_registry() {
    for (status, code, message, exit) in [
        ("404 Not Found", "TAG_UNKNOWN", "tag does not exist", 13),
        ("404 Not Found", "RESOURCE", "access forbidden", 13),
        ("404 Not Found", "DENIED", "denied", 13),
        ("403 Forbidden", "FORBIDDEN", "no", 12),
        ("403 Forbidden", "FORBIDDEN", "repository not found", 12),
        ("401 Unauthorized", "INVALID_TOKEN", "token expired", 12),
        ("400 Bad Request", "BAD", "file not found", 1),
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(&digest, Behaviour::error(status, code, message));
        let log = cache.beside("log").display().to_string();
        let mut command = fetch_by("auto", &cache, &registry, &digest);
        command.args(["--audit-log", &log]);
        run(&mut command)
            .assert_status(exit)
            .assert_says(&format!(": HTTP {status}: {message}"));
        assert_eq!((registry.requests(&digest), skopeo_runs(&registry)), (2, 1));
        cache.assert_empty();
        cache.run(["audit", "verify", &log]).assert_status(0);
    }
}

/// The 401 that the client saw is not the end: skopeo got a token.
#[test]
fn kind_is_that_of_skopeo_where_the_client_may_not_ask_the_token_server() {
    let (registry, server, cache) = (Registry::start(), Registry::start(), Cache::new());
    registry.require("Bearer t0ken", Behaviour::bearer(server.address()));
    server.put_as(TOKEN, r#"{"token":"t0ken"}"#);
    let digest = digest(b"");
    let mut command = fetch_by("auto", &cache, &registry, &digest);
    command.arg("--creds=alice:secret");
    run(&mut command)
        .assert_status(13)
        .assert_says("not found: reading manifest: ");
    let asked = server.received().pop().expect("a request of skopeo");
    let basic = asked.authorization.expect("credentials");
    assert!(basic.starts_with("Basic "), "{basic}");

    let mut command = fetch_by("auto", &cache, &registry, &digest);
    command.arg("--creds=alice:secret");
    run(command.env("PATH", cache.beside("nothing")))
        .assert_status(1)
        .assert_says("cannot run skopeo: skopeo: command not found")
        .assert_says("; the registry client can't be used: credentials are not sent to ");
}

#[test]
fn missing_skopeo_is_reported_with_the_reason_why_it_is_needed() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let mut command = fetch_by("auto", &cache, &registry, &digest);
    command.env("PATH", cache.beside("nothing"));
    run(command.env("https_proxy", "http://127.0.0.1:1"))
        .assert_status(1)
        .assert_says("skopeo: command not found; the registry client can't be used: a proxy is set (https_proxy)")
        .assert_says("hint: install it with ");
    assert_eq!(registry.connections(), 0);
}

#[test]
fn rate_limit_is_not_asked_of_skopeo() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    registry.behave(&digest, Behaviour::too_many_requests(None));
    let mut command = fetch_by("auto", &cache, &registry, &digest);
    run(&mut command)
        .assert_status(14)
        .assert_says("rate limited: HTTP 429 Too Many Requests: slow down");
    assert_eq!((registry.requests(&digest), skopeo_runs(&registry)), (1, 0));
}

#[test]
fn silence_is_not_asked_of_skopeo() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = digest(b"");
    registry.behave(&digest, Behaviour::Silence);
    let mut command = fetch_by("auto", &cache, &registry, &digest);
    run(command.arg("--command-timeout=1s"))
        .assert_status(14)
        .assert_says("timed out: no answer within 1s");
    assert_eq!((registry.requests(&digest), skopeo_runs(&registry)), (1, 0));
}
