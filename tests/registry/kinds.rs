//! Kinds of failures: exit status, number of attempts, message and hint.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use test_support::loopback::{Behaviour, Failure, PING, Registry, digest, failures, samples};
use test_support::program::harness::{Cache, RunOutput};

#[test]
fn failure_at_a_registry_has_status_attempts_and_words_by_kind() {
    for failure in failures() {
        println!("{failure:?}");
        let cache = Cache::new();
        let errors = ["skopeo", "auto"].map(|engine| fail_by(engine, &failure, &cache));
        if failure.has_same_text_each_time() {
            let [skopeo, auto] = errors;
            assert_eq!(auto, skopeo, "by skopeo and by --engine auto");
        }
    }
}

/// The failure's lines of error and hint, without the registry's address.
fn fail_by(engine: &str, failure: &Failure, cache: &Cache) -> String {
    let (registry, digest) = failure.registry();
    let reference = format!("{}/app@{digest}", registry.address());
    let engine = format!("--engine={engine}");
    let short = [&engine, "--retry-times=1", "--command-timeout=5s"];
    let output = cache.fetch(&[&[reference.as_str()], &short[..]].concat());
    output
        .assert_status(failure.status)
        .assert_says(&format!("error: {reference}: {}", failure.cause));
    if let Some(hint) = failure.hint {
        output.assert_says(&format!("hint: {hint}"));
    }
    let retried = output.stderr.contains("attempt 1: ");
    assert_eq!(retried, failure.is_transient(), "{output:#?}");
    cache.assert_empty();
    if failure.is_answer_to_manifest() {
        let requests = if engine.ends_with("auto") { 2 } else { 1 };
        assert_eq!(registry.requests(&digest), requests, "{output:#?}");
    }
    let lines = output.stderr.lines();
    let errors = lines.skip_while(|line| !line.starts_with("error: "));
    let errors: Vec<_> = errors
        .take_while(|line| !line.contains(" fetched, "))
        .collect();
    errors.join("\n").replace(registry.address(), "REGISTRY")
}

/// skopeo 1.9.3 says only "can't talk to a V1 container registry" then.
#[test]
fn ping_failure_behind_a_v1_ping_has_its_own_kind() {
    for (behaviour, status) in [
        (Behaviour::status("503 Service Unavailable"), 14),
        (Behaviour::not_found(), 1),
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        registry.behave(PING, behaviour);
        registry.put_as("/v1/_ping", "{}");
        let reference = format!("{}/app@{}", registry.address(), digest(b""));
        let output = cache.fetch(&[&reference, "--retry-times=1"]);
        output.assert_status(status);
    }
}

#[test]
fn bytes_with_another_digest_are_a_mismatch_whatever_else_they_are() {
    for body in [&b""[..], b"<html>", b"[]", b"{}", &samples::single_image()] {
        for method in ["raw", "copy"] {
            let (registry, cache) = (Registry::start(), Cache::new());
            let digest = digest(b"the requested document");
            registry.put_as(&digest, body);
            let reference = format!("{}/app@{digest}", registry.address());
            let output = cache.fetch(&[&reference, "--method", method]);
            output.assert_status(10);
            if method == "raw" {
                output
                    .assert_says("digest mismatch: ")
                    .assert_says("; and the bytes are not an index: ")
                    .assert_says("hint: the registry (or a proxy) returned different content");
            }
            cache.assert_empty();
        }
    }
}

/// Fetches from a host behind a proxy.
fn fetch_through(proxy: &str, cache: &Cache) -> RunOutput {
    let reference = format!("registry.example/app@{}", digest(b""));
    let mut command = cache.command(["fetch", "--retry-times=1", &reference]);
    command.env("HTTPS_PROXY", proxy).env_remove("NO_PROXY");
    run(&mut command)
}

fn run(command: &mut Command) -> RunOutput {
    RunOutput::from(command.output().expect("the binary"))
}

#[test]
fn proxy_failure_names_the_proxy() {
    for (status, exit, words) in [
        (
            "407 Proxy Authentication Required",
            1,
            "refused by the proxy: ",
        ),
        ("403 Forbidden", 1, "refused by the proxy: "),
        ("403 Access denied by policy", 1, "refused by the proxy: "),
        ("407 ", 1, "refused by the proxy: "),
        ("502 Bad Gateway", 14, "proxy failed: "),
        ("503 Service Unavailable", 14, "proxy failed: "),
    ] {
        let (proxy, cache) = (Registry::start(), Cache::new());
        let target = "registry.example:443";
        proxy.behave(target, Behaviour::status(status));
        let output = fetch_through(&format!("http://{}", proxy.address()), &cache);
        output
            .assert_status(exit)
            .assert_says(words)
            .assert_says("hint: check HTTPS_PROXY");
        // The number of requests depends on skopeo's version: before 1.10 it asks for
        // `/v1/_ping` after a failed ping.
        let retried = output.stderr.contains("attempt 1: ");
        assert_eq!(retried, exit == 14, "{output:#?}");
        let least = if retried { 2 } else { 1 };
        assert!(proxy.requests(target) >= least, "{status}");
    }
    let cache = Cache::new();
    fetch_through("http://127.0.0.1:1", &cache)
        .assert_status(14)
        .assert_says("proxy failed: ");
}

#[test]
fn credentials_failure_names_the_file_or_the_helper() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.put(samples::empty());
    let reference = format!("{}/app@{at}", registry.address());
    let file = cache.beside("auth.json");
    let file_name = file.to_str().expect("UTF-8");
    let fetch = || {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{path}:{}", cache.beside("bin").display());
        let args = [
            "fetch",
            "--tls-verify=false",
            "--authfile",
            file_name,
            &reference,
        ];
        run(cache.command(args).env("PATH", path))
    };
    fs::write(&file, "no JSON").expect("a file");
    fetch()
        .assert_status(12)
        .assert_says("cannot read the credentials: ")
        .assert_says(&format!("{file_name} (not valid)"));
    let json = serde_json::json!({ "credHelpers": { registry.address(): "of-a-test" } });
    fs::write(&file, json.to_string()).expect("a file");
    let helper = format!("\"docker-credential-of-a-test\" of {file_name}");
    fetch()
        .assert_status(12)
        .assert_says("credential helper failed: ")
        .assert_says(&helper);
    let program = cache.beside("bin/docker-credential-of-a-test");
    fs::create_dir_all(cache.beside("bin")).expect("a directory");
    fs::write(&program, "#!/bin/sh\necho manifest unknown: EOF\nexit 1\n").expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    fetch().assert_status(12).assert_says(&helper);
}
