//! SIGTERM and `--deadline` end a fetch in every phase.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use skopeo_index::os::best_effort;
use test_support::loopback::{Behaviour, CONNECT, Registry, TOKEN, samples};
use test_support::program::harness::Cache;
use wait_timeout::ChildExt;

use super::tls::FullBacklog;

/// Longer than any cancelled run takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A phase of fetches from a registry, and when it has begun.
struct Phase {
    name: &'static str,
    options: Vec<&'static str>,
    registry: Registry,
    has_begun: fn(&Registry) -> bool,
}

/// The phases. Two indexes are fetched: one waits for the token that the other requests.
fn phases(digests: &[String; 2]) -> Vec<Phase> {
    let phase = |name, has_begun, behave: &dyn Fn(&Registry)| {
        let registry = Registry::start();
        for n in 0..2 {
            registry.put(samples::distinct(n));
        }
        behave(&registry);
        let options = match name {
            "TLS handshake" => Vec::new(),
            _ => vec!["--tls-verify=false"],
        };
        Phase {
            name,
            options,
            registry,
            has_begun,
        }
    };
    let all = |registry: &Registry, behaviour: &Behaviour| {
        for digest in digests {
            registry.behave(digest, behaviour.clone());
        }
    };
    let is_received = |registry: &Registry| registry.received().len() >= 2;
    vec![
        phase(
            "TLS handshake",
            |registry| registry.connections() == 2,
            &|registry| {
                registry.behave(CONNECT, Behaviour::Silence);
            },
        ),
        phase("head", is_received, &|registry| {
            all(registry, &Behaviour::Silence)
        }),
        phase("body", is_received, &|registry| {
            all(registry, &Behaviour::SlowDrip)
        }),
        phase(
            "token",
            |registry| registry.received().len() == 3,
            &|registry| {
                all(registry, &Behaviour::bearer(registry.address()));
                registry.behave(TOKEN, Behaviour::Silence);
            },
        ),
        phase("Retry-After", is_received, &|registry| {
            all(registry, &Behaviour::too_many_requests(Some(3600)));
        }),
    ]
}

/// A fetch whose limits are far away.
fn command(cache: &Cache, address: &str, digests: &[String; 2], options: &[&str]) -> Command {
    let mut command = cache.command(["fetch", "--engine=registry", "--progress=json"]);
    command
        .args(["--command-timeout=10h", "--retry-times=9"])
        .args(options)
        .args(
            digests
                .iter()
                .map(|digest| format!("{address}/app@{digest}")),
        );
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[track_caller]
fn assert_ends(running: &mut Child, status: i32, context: &str) {
    let ended = running.wait_timeout(TIMEOUT).expect("a child");
    if ended.is_none() {
        best_effort(running.kill());
    }
    let code = ended.and_then(|ended| ended.code());
    assert_eq!(code, Some(status), "{context}");
}

fn digests() -> [String; 2] {
    [0, 1].map(|n| test_support::loopback::digest(&samples::distinct(n)))
}

#[test]
fn sigterm_ends_a_fetch_in_every_phase() {
    let digests = digests();
    for phase in phases(&digests) {
        let cache = Cache::new();
        let mut command = command(&cache, phase.registry.address(), &digests, &phase.options);
        let mut running = command.spawn().expect("the binary");
        while !(phase.has_begun)(&phase.registry) {
            let ended = running.try_wait().expect("a child");
            assert!(ended.is_none(), "{}: {ended:?}", phase.name);
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&running), Signal::TERM).expect("a running process");
        assert_ends(&mut running, 130, phase.name);
        cache.assert_empty();
    }
}

#[test]
fn deadline_ends_a_fetch_in_every_phase() {
    let digests = digests();
    for phase in phases(&digests) {
        let cache = Cache::new();
        let options = [&phase.options[..], &["--deadline=1s"]].concat();
        let mut command = command(&cache, phase.registry.address(), &digests, &options);
        assert_ends(&mut command.spawn().expect("the binary"), 124, phase.name);
        cache.assert_empty();
    }
}

#[test]
fn sigterm_and_deadline_end_a_connect_that_is_not_answered() {
    let (backlog, digests) = (FullBacklog::at(([127, 0, 0, 1], 0).into()), digests());
    let cache = Cache::new();
    let mut waiting = command(&cache, &backlog.address(), &digests, &["--deadline=1s"]);
    assert_ends(&mut waiting.spawn().expect("the binary"), 124, "deadline");
    cache.assert_empty();

    let mut waiting = command(&cache, &backlog.address(), &digests, &[]);
    let mut running = waiting.stderr(Stdio::piped()).spawn().expect("the binary");
    let stderr = BufReader::new(running.stderr.take().expect("stderr"));
    let mut lines = stderr.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(r#""to":"staged""#)));
    kill_process(Pid::from_child(&running), Signal::TERM).expect("a running process");
    assert_ends(&mut running, 130, "SIGTERM");
    cache.assert_empty();
}
