//! The error texts of the service, over the kinds of failures at a registry.

use skopeo_index_core::machine::State;
use test_support::loopback::{digest, failures, samples};
use test_support::program::harness::Cache;
use test_support::program::host::{Host, Version, exception, items, reply};

/// A host whose service makes one attempt of at most five seconds.
fn host(version: Version, engine: &str) -> Host {
    Host::start_with(version, |service| {
        service.env("SKOPEO_INDEX_COMMAND_TIMEOUT", "5s");
        service.env("SKOPEO_INDEX_ENGINE", engine);
    })
}

/// The message of the command line, without `error: ` and the hint.
fn command_line_message(reference: &str) -> String {
    let short = ["--retry-times=0", "--command-timeout=5s"];
    let output = Cache::new().fetch(&[&[reference], &short[..]].concat());
    let mut lines = output.stderr.lines();
    let message = lines.find_map(|line| line.strip_prefix("error: "));
    message.expect("an error").to_owned()
}

/// The registry client reports a failure as skopeo does.
const ENGINES: [&str; 2] = ["skopeo", "auto"];

#[test]
fn item_error_begins_with_the_item_and_has_the_words_of_the_command_line() {
    for (failure, engine) in failures()
        .iter()
        .flat_map(|failure| ENGINES.map(|engine| (failure, engine)))
    {
        println!("{engine}: {failure:?}");
        let (registry, digest) = failure.registry();
        let items = items(registry.address(), [digest.as_str()]);
        let host = host(Version::V190, engine);
        let message = host.download(&items);
        let reply = reply(&message);
        assert_eq!(reply["success"], false);
        assert_eq!(reply["results"][0]["success"], false);
        let error = reply["results"][0]["error"].as_str().expect("a text");
        let reference = format!("{}/app@{digest}", registry.address());
        let begin = format!("{reference}: {}", failure.cause);
        assert!(error.starts_with(&begin), "{error}");
        assert_eq!(reply["output"], error, "the only item's");
        if failure.has_same_text_each_time() {
            assert_eq!(error, command_line_message(&reference));
        }
        for state in State::ALL {
            assert!(!error.contains(&state.to_string()), "{error}");
        }
        assert!(!host.object(&digest).exists());
    }
}

#[test]
fn exception_has_the_cause_where_the_host_ignores_replies() {
    for (at, failure) in failures().into_iter().enumerate() {
        // Each engine at every second kind.
        let engine = ENGINES[at % ENGINES.len()];
        println!("{engine}: {failure:?}");
        let (registry, digest) = failure.registry();
        let host = host(Version::V185, engine);
        let message = host.download(&items(registry.address(), [digest.as_str()]));
        assert_eq!(message["data"]["name"], "FetchFailed");
        let begin = format!("{}/app@{digest}: {}", registry.address(), failure.cause);
        assert!(exception(&message).starts_with(&begin), "{message}");
        assert!(!host.object(&digest).exists());
    }
}

#[test]
fn thread_that_cannot_be_started_is_an_exception() {
    let host = Host::start_with(Version::V190, |service| {
        // More than the address space has.
        service.env("RUST_MIN_STACK", (1_u64 << 47).to_string());
    });
    let message = host.download(&items("localhost", [digest(&samples::empty()).as_str()]));
    assert!(exception(&message).contains("temporarily unavailable"));
    assert_eq!(message["data"]["name"], "FetchFailed");
    assert_eq!(host.finish().0, Some(0));
}
