//! Certificates, and HTTP where HTTPS was meant.

use std::process::Command;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use test_support::loopback::{Behaviour, CONNECT, Certificate, Registry, Then, samples};
use test_support::program::harness::{Cache, RunOutput};

use super::{ONE_ATTEMPT, fetch, fetch_once, run};

/// Fetches with TLS verification.
fn fetch_verified(cache: &Cache, registry: &Registry, digest: &str, more: &[&str]) -> RunOutput {
    let options = [&ONE_ATTEMPT[..], more].concat();
    run(&mut fetch(cache, registry, &[digest], &options))
}

#[test]
fn certificate_decides_whether_a_request_is_sent() {
    for (certificate, is_trusted, status, hint) in [
        (Certificate::Valid, true, 0, ""),
        (
            Certificate::Valid,
            false,
            1,
            "hint: pass the registry's certificate authority",
        ),
        (Certificate::Expired, true, 1, "hint: check the clock"),
        (Certificate::OtherHost, true, 1, "hint: use a host name"),
        (
            Certificate::NoSan,
            true,
            1,
            "hint: the registry needs a certificate with a subject",
        ),
    ] {
        println!("{certificate:?}, {is_trusted}");
        let (registry, cache) = (Registry::with_tls(certificate), Cache::new());
        let digest = registry.put(samples::empty());
        let dir = registry.cert_dir();
        let cert_dir = ["--cert-dir", dir.to_str().expect("UTF-8")];
        let more = if is_trusted { &cert_dir[..] } else { &[] };
        let output = fetch_verified(&cache, &registry, &digest, more);
        output.assert_status(status).assert_says(hint);
        if status == 0 {
            assert_eq!(cache.objects(), [digest]);
        } else {
            output.assert_says("TLS failed: ");
            cache.assert_empty();
            assert_eq!(registry.received(), []);
        }
    }
}

#[test]
fn any_certificate_is_accepted_without_verification() {
    for certificate in [Certificate::Expired, Certificate::OtherHost] {
        let (registry, cache) = (Registry::with_tls(certificate), Cache::new());
        let digest = registry.put(samples::empty());
        fetch_once(&cache, &registry, &digest).assert_status(0);
    }
}

#[test]
fn plain_http_is_not_spoken_where_https_is_required() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    fetch_verified(&cache, &registry, &digest, &[])
        .assert_status(1)
        .assert_says("TLS failed: the server gave an HTTP answer to a TLS handshake")
        .assert_says("hint: the registry speaks plain HTTP");
    assert_eq!(registry.received(), []);
    cache.assert_empty();
}

/// skopeo takes it, if it is in the directory of `--cert-dir`.
#[test]
fn certificate_of_an_authority_itself_is_left_to_skopeo() {
    let registry = Registry::with_tls(Certificate::SelfSigned);
    let digest = registry.put(samples::empty());
    let dir = registry.cert_dir();
    let cert_dir = ["--cert-dir", dir.to_str().expect("UTF-8")];
    for (engine, trusted, status, words) in [
        (
            "registry",
            &cert_dir[..],
            1,
            "the registry client can't be used: the certificate is not accepted: ",
        ),
        (
            "auto",
            &[],
            1,
            "hint: pass the registry's certificate authority",
        ),
        ("auto", &cert_dir, 0, ""),
    ] {
        let cache = Cache::new();
        let engine = format!("--engine={engine}");
        let options = [&[engine.as_str(), "--retry-times=0"], trusted].concat();
        run(&mut fetch(&cache, &registry, &[&digest], &options))
            .assert_status(status)
            .assert_says(words);
    }
}

/// Alerts of RFC 8446, section 6. Only some may be about a missing client certificate.
#[test]
fn alert_of_the_server_is_explained() {
    for (alert, words, hint) in [
        (70, "the server speaks neither TLS 1.2 nor TLS 1.3", false),
        (116, "the server requires a client certificate", true),
        (40, "HandshakeFailure", true),
        (80, "InternalError", false),
    ] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        let record = vec![21, 3, 3, 0, 2, 2, alert];
        registry.behave(CONNECT, Behaviour::Bytes(record, Then::Close));
        let output = fetch_verified(&cache, &registry, &digest, &[]);
        output.assert_status(1).assert_says(words);
        let hinted = output.stderr.contains("hint: if the registry requires");
        assert_eq!(hinted, hint, "{output:?}");
    }
}

#[test]
fn bad_request_of_a_plain_registry_keeps_its_own_words() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let error = Behaviour::error("400 Bad Request", "FOO", "no such thing");
    registry.behave(&digest, error);
    fetch_once(&cache, &registry, &digest)
        .assert_status(1)
        .assert_says("no such thing");
}

#[test]
fn handshake_that_stalls_or_breaks_ends() {
    // A handshake record of 16 KiB (RFC 8446, section 5.1).
    let record = vec![22, 3, 3, 0x40, 0];
    for (behaviour, status) in [
        (Behaviour::Silence, 14),
        (Behaviour::Bytes(record.clone(), Then::Drip(0)), 14),
        (Behaviour::Bytes(record, Then::Close), 14),
        (Behaviour::HangUp, 14),
        (
            Behaviour::Bytes(Vec::new(), Then::Repeat(vec![b'x'; 1 << 16])),
            1,
        ),
    ] {
        println!("{behaviour:?}");
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::empty());
        registry.behave(CONNECT, behaviour);
        fetch_verified(&cache, &registry, &digest, &[]).assert_status(status);
        cache.assert_empty();
        assert_eq!(registry.connections(), 1);
    }
}

/// A fetch from localhost, which has both addresses in a mount namespace of its own.
fn fetch_from_localhost(port: &str, cache: &Cache, digest: &str) -> RunOutput {
    let hosts = cache.beside("hosts");
    std::fs::write(&hosts, "::1 localhost\n127.0.0.1 localhost\n").expect("a file");
    let reference = format!("localhost:{port}/app@{digest}");
    let arguments = ["fetch", "--tls-verify=false", &reference];
    let inner = cache.command(arguments.iter().chain(&ONE_ATTEMPT));
    let script = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    let mut command: Command =
        test_support::program::harness::wrap(&["unshare", "-m", "sh", "-c", &script, "sh"], &inner);
    run(&mut command)
}

#[test]
fn address_that_refuses_or_drops_packets_does_not_stop_the_fetch() {
    for ip in ["127.0.0.1", "[::1]"] {
        let (registry, cache) = (Registry::start_on(ip), Cache::new());
        let digest = registry.put(samples::empty());
        let (_, port) = registry.address().rsplit_once(':').expect("a port");
        fetch_from_localhost(port, &cache, &digest).assert_status(0);
    }
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let (_, port) = registry.address().rsplit_once(':').expect("a port");
    let address = format!("[::1]:{port}").parse().expect("an address");
    let _full = FullBacklog::at(address);
    fetch_from_localhost(port, &cache, &digest).assert_status(0);
}

/// A listening socket that drops whatever is sent to it.
pub(super) struct FullBacklog {
    listener: std::net::TcpListener,
    _waiting: std::net::TcpStream,
}

impl FullBacklog {
    pub(super) fn at(address: std::net::SocketAddr) -> Self {
        let family = match address {
            std::net::SocketAddr::V4(_) => AddressFamily::INET,
            std::net::SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let socket = socket.expect("a socket");
        bind(&socket, &address).expect("a free port");
        // Linux takes one connection more than the backlog.
        listen(&socket, 0).expect("a listening socket");
        let listener = std::net::TcpListener::from(socket);
        let address = listener.local_addr().expect("a bound address");
        let waiting = std::net::TcpStream::connect(address).expect("its only connection");
        Self {
            listener,
            _waiting: waiting,
        }
    }

    pub(super) fn address(&self) -> String {
        let address = self.listener.local_addr();
        address.expect("a bound address").to_string()
    }
}
