//! No secret is in a log or in any output.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use test_support::loopback::{DockerRegistry, samples};

use super::host::{self, Host, Version};
use crate::harness::Cache;
use crate::harness::ended;

/// "alice:correct horse", in base64.
const RIGHT: &str = "YWxpY2U6Y29ycmVjdCBob3JzZQ==";

/// "alice:battery staple".
const WRONG: &str = "YWxpY2U6YmF0dGVyeSBzdGFwbGU=";

/// "proxyuser:proxysecret".
const PROXY: &str = "cHJveHl1c2VyOnByb3h5c2VjcmV0";

const SECRETS: [&str; 7] = [
    RIGHT,
    WRONG,
    PROXY,
    "correct horse",
    "battery staple",
    "proxysecret",
    "proxyuser",
];

/// A proxy that leads nowhere and keeps what it is asked.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (asked, seen) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                request.push(byte[0]);
            }
            let _closed =
                stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
            let _over = asked.send(String::from_utf8_lossy(&request).into_owned());
        }
    });
    (format!("http://proxyuser:proxysecret@{address}"), seen)
}

/// A registry with a password, and where its name leads to a proxy.
struct Scene {
    registry: DockerRegistry,
    digest: String,
    cache: Cache,
}

impl Scene {
    fn new() -> Self {
        let (registry, cache) = (DockerRegistry::with_password(), Cache::new());
        let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
        Self {
            registry,
            digest,
            cache,
        }
    }

    /// Go sends what goes to 127.0.0.1 past any proxy.
    fn far(&self) -> String {
        self.registry
            .address()
            .replace("127.0.0.1", "registry.invalid")
    }

    fn auth(&self, credentials: &str) -> PathBuf {
        let auth = self.cache.beside("auth.json");
        let entry = || serde_json::json!({ "auth": credentials });
        let auths = [
            (self.registry.address().to_owned(), entry()),
            (self.far(), entry()),
        ];
        let auths = serde_json::Map::from_iter(auths);
        let json = serde_json::json!({ "auths": auths });
        fs::write(&auth, json.to_string()).expect("a file");
        auth
    }

    fn log(&self) -> PathBuf {
        self.cache.beside("log")
    }

    fn assert_no_secret(&self, said: &[&str]) {
        let recorded = fs::read_to_string(self.log()).expect("a log");
        for secret in SECRETS {
            for text in said.iter().chain(&[recorded.as_str()]) {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
        assert!(recorded.contains("auth.json"), "the path is recorded");
    }
}

/// The proxy was asked, with its password.
#[track_caller]
fn assert_tried(seen: &Receiver<String>) {
    let asked: Vec<_> = seen.try_iter().collect();
    let with = format!("Basic {PROXY}");
    assert!(
        asked.iter().any(|request| request.contains(&with)),
        "{asked:?}"
    );
}

#[test]
fn a_run_tells_none() {
    let scene = Scene::new();
    let (proxy, seen) = proxy();
    let near = scene.registry.address().to_owned();
    for (credentials, registry) in [(RIGHT, &near), (WRONG, &near), (RIGHT, &scene.far())] {
        let mut command =
            scene
                .cache
                .command(["fetch", "--tls-verify=false", "--debug", "--progress=json"]);
        command
            .arg("--audit-log")
            .arg(scene.log())
            .arg("--authfile")
            .arg(scene.auth(credentials))
            .env("HTTP_PROXY", &proxy)
            .env("HTTPS_PROXY", &proxy)
            .arg(format!("{registry}/app@{}", scene.digest));
        let ran = ended(command.output().expect("the binary"));
        let well = (credentials, registry) == (RIGHT, &near);
        assert_eq!(ran.status == Some(0), well, "{ran:?}");
        scene.assert_no_secret(&[&ran.stdout, &ran.stderr]);
        let _expected_to_differ = fs::remove_file(scene.cache.object(&scene.digest));
    }
    assert_tried(&seen);
}

#[test]
fn the_service_tells_none() {
    let scene = Scene::new();
    let (proxy, seen) = proxy();
    let near = scene.registry.address().to_owned();
    for (credentials, registry) in [(RIGHT, &near), (WRONG, &near), (RIGHT, &scene.far())] {
        let auth = scene.auth(credentials);
        let host = Host::start_with(Version::V190, |service| {
            service
                .env("SKOPEO_INDEX_AUDIT_LOG", scene.log())
                .env("SKOPEO_INDEX_AUTHFILE", auth)
                .env("SKOPEO_INDEX_DEBUG", "true")
                .env("HTTP_PROXY", &proxy)
                .env("HTTPS_PROXY", &proxy);
        });
        let reply = host.download(&host::items(registry, [scene.digest.as_str()]));
        let well = (credentials, registry) == (RIGHT, &near);
        assert_eq!(host::reply(&reply)["success"], well, "{reply}");
        let (_, said) = host.end();
        scene.assert_no_secret(&[&reply.to_string(), &said]);
    }
    assert_tried(&seen);
}
