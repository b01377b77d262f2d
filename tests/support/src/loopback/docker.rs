//! Debian's docker-registry.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::loopback::samples;

/// The only user of a registry with a password.
pub const USER: &str = "alice";

/// The user's password.
pub const PASSWORD: &str = "correct horse";

/// Output of `htpasswd -Bbn alice 'correct horse'`.
const HTPASSWD: &str = "alice:$2y$05$X59oCjBgrbQlB08TN7jICeGEQucIbfmpTpl94yky9dr4iRIDySKva";

/// Timeout for a registry to listen.
const START_WITHIN: Duration = Duration::from_secs(20);

/// A docker-registry. One with a password or TLS has a second, open one over the same
/// storage, through which manifests are pushed.
pub struct DockerRegistry {
    public: Server,
    open: Option<Server>,
    dir: TempDir,
}

struct Server {
    address: String,
    process: Child,
}

/// A registry's certificate. That of a [`DockerRegistry`] is signed by itself, that of a
/// [`crate::loopback::Registry`] by an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// For 127.0.0.1, from now on.
    Valid,
    /// For 127.0.0.1, until 2020.
    Expired,
    /// From now on, for another address.
    OtherHost,
    /// From now on, without a subject alternative name.
    NoSan,
    /// For 127.0.0.1, from now on, and its own authority.
    SelfSigned,
}

impl Certificate {
    /// Writes `key.pem` and `certs/ca.crt`, the certificate and its own authority.
    fn write(self, dir: &Path) {
        self.sign(
            dir,
            "CA:true",
            "-selfsign -keyfile key.pem -out certs/ca.crt",
        );
    }

    /// Writes `key.pem`, `server.pem` and its authority, `certs/ca.crt`.
    pub(super) fn issue(self, dir: &Path) {
        fs::create_dir(dir.join("certs")).expect("a directory");
        if matches!(self, Self::SelfSigned) {
            self.write(dir);
            fs::copy(dir.join("certs/ca.crt"), dir.join("server.pem")).expect("a file");
            return;
        }
        let authority = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
             -nodes -days 3650 -subj /CN=authority -keyout ca.pem -out certs/ca.crt";
        crate::loopback::run(
            "sh",
            &["-c", &format!("cd {} && {authority}", dir.display())],
        );
        let signed = "-cert certs/ca.crt -keyfile ca.pem -out server.pem";
        self.sign(dir, "CA:false", signed);
    }

    /// Requests a certificate and has `openssl ca` sign it with these options.
    fn sign(self, dir: &Path, constraints: &str, options: &str) {
        let san = match self {
            Self::Valid | Self::Expired | Self::SelfSigned => "subjectAltName = IP:127.0.0.1",
            Self::OtherHost => "subjectAltName = IP:127.0.0.2",
            Self::NoSan => "",
        };
        // `openssl req` can't date back before version 3.4; `openssl ca` can.
        let (from, until) = match self {
            Self::Expired => ("20190101000000Z", "20200101000000Z"),
            _ => ("20200101000000Z", "20500101000000Z"),
        };
        let config = format!(
            "[req]\ndistinguished_name = name\n[name]\n[ca]\ndefault_ca = self\n\
             [self]\ndatabase = index.txt\nnew_certs_dir = .\ndefault_md = sha256\n\
             policy = any\nx509_extensions = ext\nrand_serial = yes\n\
             [any]\ncommonName = supplied\n\
             [ext]\nbasicConstraints = {constraints}\n{san}\n"
        );
        fs::write(dir.join("openssl.cnf"), config).expect("a file");
        fs::write(dir.join("index.txt"), "").expect("a file");
        let request = "openssl req -config openssl.cnf -new -newkey ec -nodes \
             -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=loopback \
             -keyout key.pem -out request.pem";
        let sign = "openssl ca -config openssl.cnf -batch -notext -in request.pem";
        let script = format!(
            "cd {} && {request} && {sign} {options} -startdate {from} -enddate {until}",
            dir.display()
        );
        crate::loopback::run("sh", &["-c", &script]);
    }
}

impl DockerRegistry {
    /// A registry without authentication, plain HTTP.
    #[must_use]
    pub fn plain() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self {
            public: Server::start(dir.path(), ""),
            open: None,
            dir,
        }
    }

    /// A registry that requires [`USER`] and [`PASSWORD`].
    ///
    /// # Panics
    /// Where it can't be started.
    #[must_use]
    pub fn with_password() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("htpasswd");
        fs::write(&file, HTPASSWD).expect("a file");
        let auth = format!(
            "auth:\n  htpasswd:\n    realm: loopback\n    path: {}\n",
            file.display()
        );
        let open = Some(Server::start(dir.path(), ""));
        Self {
            public: Server::start(dir.path(), &auth),
            open,
            dir,
        }
    }

    /// A registry with TLS, whose certificate no client trusts without its directory.
    ///
    /// # Panics
    /// Where it can't be started.
    #[must_use]
    pub fn with_tls(certificate: Certificate) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("certs")).expect("a directory");
        certificate.write(dir.path());
        let tls = format!(
            "  tls:\n    certificate: {0}/certs/ca.crt\n    key: {0}/key.pem\n",
            dir.path().display()
        );
        let open = Some(Server::start(dir.path(), ""));
        Self {
            public: Server::start(dir.path(), &tls),
            open,
            dir,
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.public.address
    }

    /// Directory for `--cert-dir`.
    #[must_use]
    pub fn cert_dir(&self) -> PathBuf {
        self.dir.path().join("certs")
    }

    /// Pushes a manifest to a repository under its digest, and returns the digest.
    ///
    /// # Panics
    /// Where the registry refuses it.
    pub fn push(&self, repository: &str, manifest: &[u8], media_type: &str) -> String {
        let digest = crate::loopback::digest(manifest);
        let path = format!("/v2/{repository}/manifests/{digest}");
        self.request("PUT", &path, media_type, manifest);
        digest
    }

    /// Pushes an image to a repository, and returns its descriptor for an index.
    ///
    /// # Panics
    /// Where the registry refuses it.
    pub fn push_image(&self, repository: &str, architecture: &str) -> serde_json::Value {
        let layer = empty_layer();
        let config = serde_json::json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [crate::loopback::digest(&[0; 1024])] },
        });
        let config = config.to_string().into_bytes();
        let blob = |media_type: &str, bytes: &[u8]| {
            let digest = self.push_blob(repository, bytes);
            serde_json::json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": samples::OCI_IMAGE,
            "config": blob("application/vnd.oci.image.config.v1+json", &config),
            "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = self.push(repository, &manifest, samples::OCI_IMAGE);
        serde_json::json!({
            "mediaType": samples::OCI_IMAGE, "digest": digest, "size": manifest.len(),
            "platform": { "architecture": architecture, "os": "linux" },
        })
    }

    fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = crate::loopback::digest(bytes);
        let answer = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"");
        let location = answer
            .lines()
            .find_map(|line| line.strip_prefix("Location: "))
            .expect("a place to upload to");
        let path = &location[location.find("/v2/").expect("a path")..];
        let path = format!("{path}&digest={digest}");
        self.request("PUT", &path, "application/octet-stream", bytes);
        digest
    }

    /// Sends a request to the open registry, and returns its answer.
    fn request(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> String {
        let address = &self.open.as_ref().unwrap_or(&self.public).address;
        let mut connection = TcpStream::connect(address).expect("the registry");
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )
        .expect("a request");
        connection.write_all(body).expect("a request");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.1 20"),
            "{method} {path}: {answer}"
        );
        answer
    }
}

impl Server {
    fn start(dir: &Path, more: &str) -> Self {
        // Another process may take the port before the registry does.
        (0..5)
            .find_map(|_| Self::try_start(dir, more))
            .expect("a registry that listens")
    }

    fn try_start(dir: &Path, more: &str) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a port on 127.0.0.1").to_string();
        let config = dir.join(format!("{}.yml", address.replace(':', "-")));
        let storage = dir.join("storage");
        // Lines of `more` with two spaces of indentation belong to `http`.
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: {address}\n{more}",
            storage.display()
        );
        fs::write(&config, text).expect("a file");
        let spawn = |program: &&str| {
            let mut command = Command::new(program);
            command.arg("serve").arg(&config).stdin(Stdio::null());
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .ok()
        };
        // Debian's name for it, and Fedora's.
        let process = ["docker-registry", "registry"].iter().find_map(spawn);
        let process = process.expect("no docker-registry: run `make setup`");
        let mut server = Self { address, process };
        let until = Instant::now() + START_WITHIN;
        while Instant::now() < until && matches!(server.process.try_wait(), Ok(None)) {
            if TcpStream::connect(&server.address).is_ok() {
                return Some(server);
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// An empty layer: 1024 zero bytes, the end of a tar archive, compressed.
fn empty_layer() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("layer");
    fs::write(&file, [0; 1024]).expect("a file");
    crate::loopback::run("gzip", &["-nc", &file.display().to_string()])
}
