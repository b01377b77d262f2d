//! The registries themselves: what they serve, and that they stop.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use test_support::loopback::{
    Behaviour, Certificate, DockerRegistry, PASSWORD, Registry, Relay, RequestCounts, Storage,
    TokenRegistry, USER, samples,
};

/// Time within which a registry must stop, whatever it was doing.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends a request without waiting for the answer.
fn ask(address: &str, method: &str, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).expect("the registry");
    write!(connection, "{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    connection
}

fn manifest(reference: &str) -> String {
    format!("/v2/some/name/manifests/{reference}")
}

/// This many bytes of the answers on a connection.
fn answer(mut connection: TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    connection.read_exact(&mut bytes).expect("an answer");
    String::from_utf8(bytes).expect("UTF-8")
}

fn skopeo(args: &[&str], reference: &str) -> Output {
    let mut command = Command::new("skopeo");
    command
        .args(["--command-timeout=30s", "inspect", "--raw"])
        .args(args);
    command
        .env("REGISTRY_AUTH_FILE", "no-such-file")
        .arg(reference);
    command.output().expect("skopeo")
}

#[track_caller]
fn assert_served(args: &[&str], reference: &str, document: &[u8]) {
    let ran = skopeo(args, reference);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(ran.stdout, document);
}

const HTTP: &[&str] = &["--tls-verify=false"];

#[test]
fn registry_connection_serves_many_requests() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let mut connection = ask(registry.address(), "HEAD", &manifest(&digest));
    for method in ["GET", "HEAD"] {
        let path = manifest(&digest);
        write!(connection, "{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\n";
    let document = String::from_utf8(samples::empty()).expect("UTF-8");
    let head = format!("{head}Content-Length: {}\r\n\r\n", document.len());
    let all = format!("{head}{head}{document}{head}");
    assert_eq!(answer(connection, all.len()), all);
    assert_eq!(registry.requests(&digest), 3);
}

#[test]
fn registry_behave_once_comes_before_behave() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave_once(
        &digest,
        [Behaviour::not_found(), Behaviour::status("500 X")],
    );
    let expect = |status: &str| {
        let status = format!("HTTP/1.1 {status}");
        let asked = ask(registry.address(), "GET", &manifest(&digest));
        assert_eq!(answer(asked, status.len()), status);
    };
    expect("404 ");
    expect("500 ");
    expect("200 ");
    registry.behave(&digest, Behaviour::too_many_requests(None));
    expect("429 ");
    expect("429 ");
}

#[test]
fn registry_dropped_stops_at_once_during_any_behaviour() {
    for behaviour in [
        Behaviour::EndlessBody,
        Behaviour::SlowDrip,
        Behaviour::Silence,
        Behaviour::RedirectLoop,
    ] {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        registry.behave(&digest, behaviour.clone());
        let asked = ask(registry.address(), "GET", &manifest(&digest));
        while registry.requests(&digest) == 0 {
            std::thread::yield_now();
        }
        let begun = Instant::now();
        drop(registry);
        assert!(begun.elapsed() < STOP_TIMEOUT, "{behaviour:?}");
        drop(asked);
    }
}

#[test]
fn registry_closed_connections_leave_no_descriptor_open() {
    let open = || fs::read_dir("/proc/self/fd").expect("/proc").count();
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let before = open();
    for _ in 0..500 {
        let asked = ask(registry.address(), "GET", &manifest(&digest));
        answer(asked, 12);
    }
    let until = Instant::now() + STOP_TIMEOUT;
    // Tests in other threads open some as well.
    while open() > before + 200 {
        assert!(Instant::now() < until, "{} are open, {before} were", open());
        std::thread::yield_now();
    }
}

#[test]
fn token_registry_counts_what_skopeo_asks() {
    let registry = TokenRegistry::start();
    let digest = registry.put(samples::empty());
    let cert_dir = format!("--cert-dir={}", registry.cert_dir().display());
    let reference = format!("docker://{}/app@{digest}", registry.address());
    assert_served(&[&cert_dir], &reference, &samples::empty());
    let counts = registry.take_counts();
    // The token is asked for over a connection of its own, whatever the version.
    let connections = counts.connections;
    let expected = RequestCounts {
        connections,
        pings: 1,
        tokens: 1,
        challenges: 1,
        manifests: 1,
    };
    assert_eq!((connections > 1, counts), (true, expected));
    assert_eq!(registry.take_counts(), RequestCounts::default());
}

#[test]
fn relay_delays_connection_and_answer_by_one_round_trip_each() {
    let registry = Registry::start();
    let latency = Duration::from_millis(100);
    let relay = Relay::to(registry.address(), latency);
    let document = samples::of_size(4 << 20);
    let digest = registry.put(document.clone());
    let begun = Instant::now();
    let asked = ask(relay.address(), "GET", &manifest(&digest));
    let body = answer(asked, document.len());
    let took = begun.elapsed();
    assert!(body.starts_with("HTTP/1.1 200 OK"));
    assert!(took >= 4 * latency && took < 20 * latency, "{took:?}");
}

#[test]
fn forged_sample_makes_skopeo_print_the_digest_of_its_payload() {
    let payload = String::from_utf8(samples::docker_list(2)).expect("UTF-8");
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), samples::forged(&payload)).expect("a file");
    let printed = test_support::loopback::run(
        "skopeo",
        &["manifest-digest", &file.path().display().to_string()],
    );
    assert_eq!(
        String::from_utf8_lossy(&printed).trim(),
        test_support::loopback::digest(payload.as_bytes())
    );
    assert_ne!(
        test_support::loopback::digest(&samples::forged(&payload)),
        test_support::loopback::digest(payload.as_bytes())
    );
}

#[test]
fn samples_have_the_requested_size_and_distinct_digests() {
    for size in [600, 1024, 4 << 20] {
        assert_eq!(samples::of_size(size).len(), size);
    }
    let digests: std::collections::HashSet<_> = (0..1000)
        .map(|n| test_support::loopback::digest(&samples::distinct(n)))
        .collect();
    assert_eq!(digests.len(), 1000);
}

#[test]
fn docker_registry_with_password_requires_it() {
    let registry = DockerRegistry::with_password();
    let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let reference = format!("docker://{}/app@{digest}", registry.address());
    let refused = skopeo(HTTP, &reference);
    assert!(!refused.status.success(), "{refused:?}");
    // The reason is the registry's own: skopeo's versions word it differently.
    let status = "HTTP/1.1 401";
    let path = format!("/v2/app/manifests/{digest}");
    assert_eq!(
        answer(ask(registry.address(), "GET", &path), status.len()),
        status
    );
    let creds = format!("--creds={USER}:{PASSWORD}");
    assert_served(
        &["--tls-verify=false", &creds],
        &reference,
        &samples::empty(),
    );
}

#[test]
fn docker_registry_with_tls_requires_its_certificate() {
    let registry = DockerRegistry::with_tls(Certificate::Valid);
    let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let reference = format!("docker://{}/app@{digest}", registry.address());
    let refused = skopeo(&[], &reference);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("x509"),
        "{refused:?}"
    );
    let certs = format!("--cert-dir={}", registry.cert_dir().display());
    assert_served(&[&certs], &reference, &samples::empty());
}

#[test]
fn storage_has_the_index_and_leaves_no_mount() {
    let registry = DockerRegistry::plain();
    let storage = Storage::with_list(&registry);
    let dir = storage.location().to_owned();
    let (name, digest) = (storage.name(), storage.digest());
    let reference = format!(
        "containers-storage:[overlay@{}]{name}@{digest}",
        dir.display()
    );
    assert_served(&[], &reference, storage.list());
    drop(storage);
    assert!(!dir.exists(), "{} still exists", dir.display());
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc");
    assert!(!mounts.contains(&*dir.to_string_lossy()), "{mounts}");
}
