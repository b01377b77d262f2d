//! No credentials are in the log or in any output.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use skopeo_index::os::best_effort;
use test_support::loopback::{DockerRegistry, samples};
use test_support::program::harness::{Cache, RunOutput};
use test_support::program::host::{self, Host, Version};

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

/// A proxy that answers 502 and sends the requests it got to the receiver.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                request.push(byte[0]);
            }
            // The client may have closed, and the test may have ended.
            best_effort(stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"));
            best_effort(sender.send(String::from_utf8_lossy(&request).into_owned()));
        }
    });
    (format!("http://proxyuser:proxysecret@{address}"), requests)
}

/// A registry with a password, and an object in it.
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

    /// A name of the registry that is reached through the proxy: Go uses none for
    /// 127.0.0.1.
    fn proxied_name(&self) -> String {
        self.registry
            .address()
            .replace("127.0.0.1", "registry.invalid")
    }

    fn auth(&self, credentials: &str) -> PathBuf {
        let auth = self.cache.beside("auth.json");
        let entry = || serde_json::json!({ "auth": credentials });
        let auths = [
            (self.registry.address().to_owned(), entry()),
            (self.proxied_name(), entry()),
        ];
        let auths = serde_json::Map::from_iter(auths);
        let json = serde_json::json!({ "auths": auths });
        fs::write(&auth, json.to_string()).expect("a file");
        auth
    }

    fn log(&self) -> PathBuf {
        self.cache.beside("log")
    }

    fn assert_no_secret(&self, outputs: &[&str]) {
        let recorded = fs::read_to_string(self.log()).expect("a log");
        for secret in SECRETS {
            for text in outputs.iter().chain(&[recorded.as_str()]) {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
        assert!(recorded.contains("auth.json"), "the path is recorded");
    }
}

/// Asserts that the proxy got a request with its password.
#[track_caller]
fn assert_proxy_used(requests: &Receiver<String>) {
    let requests: Vec<_> = requests.try_iter().collect();
    let credentials = format!("Basic {PROXY}");
    assert!(
        requests
            .iter()
            .any(|request| request.contains(&credentials)),
        "{requests:?}"
    );
}

#[test]
fn audit_log_and_output_of_a_run_contain_no_credentials() {
    let scene = Scene::new();
    let (proxy, requests) = proxy();
    let direct = scene.registry.address().to_owned();
    for (credentials, registry) in [
        (RIGHT, &direct),
        (WRONG, &direct),
        (RIGHT, &scene.proxied_name()),
    ] {
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
        let output = RunOutput::from(command.output().expect("the binary"));
        let succeeds = (credentials, registry) == (RIGHT, &direct);
        assert_eq!(output.status == Some(0), succeeds, "{output:?}");
        scene.assert_no_secret(&[&output.stdout, &output.stderr]);
        // Present after success only.
        best_effort(fs::remove_file(scene.cache.object(&scene.digest)));
    }
    assert_proxy_used(&requests);
}

#[test]
fn audit_log_and_replies_of_the_service_contain_no_credentials() {
    let scene = Scene::new();
    let (proxy, requests) = proxy();
    let direct = scene.registry.address().to_owned();
    for (credentials, registry) in [
        (RIGHT, &direct),
        (WRONG, &direct),
        (RIGHT, &scene.proxied_name()),
    ] {
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
        let succeeds = (credentials, registry) == (RIGHT, &direct);
        assert_eq!(host::reply(&reply)["success"], succeeds, "{reply}");
        let (_, stdout) = host.finish();
        scene.assert_no_secret(&[&reply.to_string(), &stdout]);
    }
    assert_proxy_used(&requests);
}
