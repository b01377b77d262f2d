//! The static binary of `make static`, in a root directory that has nothing else but what
//! each test puts there. Run by `make release-check`, as root.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::thread;

use test_support::loopback::{Certificate, Registry, run, samples};
use test_support::program::harness::RunOutput;

use crate::sbom::{linked_crates, sbom};

const BINARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/static/skopeo-index");

/// A user who has no entry in any file.
const USER: u32 = 65532;

/// A root directory with the binary, and an empty directory of the user.
struct Root {
    dir: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let copied = fs::copy(BINARY, dir.path().join("skopeo-index"));
        copied.expect("target/static/skopeo-index: run `make static`");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("a mode");
        let writable = dir.path().join("work");
        fs::create_dir(&writable).expect("a directory");
        chown(&writable, Some(USER), Some(USER)).expect("root");
        Self { dir }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.path().join(name);
        let parent = path.parent().expect("a parent");
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent);
        made.expect("a directory");
        fs::write(path, content).expect("a file");
    }

    /// Puts the registry's authority where Debian keeps CA certificates.
    fn trust(&self, registry: &Registry) {
        let authority = fs::read(registry.cert_dir().join("ca.crt")).expect("a certificate");
        self.write("etc/ssl/certs/ca-certificates.crt", authority);
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs the binary with the user and the home directory of `Containerfile`.
    fn run(&self, args: &[&str]) -> RunOutput {
        let mut command = Command::new("chroot");
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/")
            .arg(format!("--userspec={USER}:{USER}"))
            .arg(self.path())
            .arg("/skopeo-index")
            .args(args);
        command.output().expect("chroot").into()
    }

    /// Fetches from a registry by this name, over plain HTTP.
    fn fetch(&self, registry: &Registry, host: &str, digest: &str) -> RunOutput {
        let port = registry.address().rsplit(':').next().expect("a port");
        let reference = format!("{host}:{port}/app@{digest}");
        let options = ["--engine=registry", "--tls-verify=false", "--retry-times=0"];
        self.run(
            &[
                &["fetch", "--cache=/work/cache"],
                &options[..],
                &[&reference],
            ]
            .concat(),
        )
    }
}

#[test]
#[ignore = "needs `make static`"]
fn empty_root_with_certificates_is_enough_to_fetch_and_verify_a_log() {
    let (root, registry) = (Root::new(), Registry::with_tls(Certificate::Valid));
    let digest = registry.put(samples::oci_index(4));
    let name = format!("{}/app", registry.address());
    let reference = format!("{name}@{digest}");
    let fetch = || {
        let log = ["--audit-log=/work/log", "--retry-times=0"];
        let fetch = [
            "fetch",
            "--engine=registry",
            "--cache=/work/cache",
            &reference,
        ];
        root.run(&[&fetch[..], &log].concat())
    };

    fetch().assert_status(1).assert_says("TLS failed");
    assert!(!root.path().join("work/cache").join(&digest).exists());

    root.trust(&registry);
    assert_eq!(
        fetch().assert_status(0).stdout,
        format!("/work/cache/{digest}\n")
    );
    let object = fs::read(root.path().join("work/cache").join(&digest));
    assert_eq!(object.expect("the object"), samples::oci_index(4));
    let verify = ["audit", "verify", "/work/log", "--cache=/work/cache"];
    root.run(&verify).assert_status(0);

    let log = root.path().join("work/log");
    let mut changed = fs::read(&log).expect("a log");
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&log, changed).expect("a log");
    root.run(&verify).assert_status(16);
}

#[test]
#[ignore = "needs `make static`"]
fn commands_without_a_registry_need_no_file() {
    let root = Root::new();
    for args in [
        &["--version"][..],
        &["states"],
        &["man"],
        &["fetch", "--help"],
    ] {
        assert_ne!(root.run(args).assert_status(0).stdout, "", "{args:?}");
    }
}

#[test]
#[ignore = "needs `make static`"]
fn host_name_is_looked_up_in_etc_hosts() {
    let (root, registry) = (Root::new(), Registry::start());
    let digest = registry.put(samples::empty());
    let hosts = ["localhost", "registry.example"];
    let fetch = |host| root.fetch(&registry, host, &digest);
    for host in hosts {
        let failed = fetch(host);
        assert_ne!(failed.status, Some(0), "{failed:?}");
    }
    root.write("etc/hosts", "127.0.0.1 localhost registry.example\n");
    fetch("localhost").assert_status(0);
    // The object is in the cache now: another is needed.
    let digest = registry.put(samples::oci_index(1));
    // Libraries of other sources, which are not there, are passed over.
    root.write("etc/nsswitch.conf", "hosts: mymachines myhostname files\n");
    root.fetch(&registry, "registry.example", &digest)
        .assert_status(0);
}

#[test]
#[ignore = "needs `make static`"]
fn host_name_is_looked_up_by_dns() {
    let (root, registry) = (Root::new(), Registry::start());
    let digest = registry.put(samples::empty());
    let server = UdpSocket::bind("127.0.0.153:53").expect("port 53: run as root");
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = server.recv_from(&mut query) {
            let answer = dns_answer(&query[..length]);
            server.send_to(&answer, client).expect("an answer");
        }
    });
    root.write("etc/resolv.conf", "nameserver 127.0.0.153\n");
    root.fetch(&registry, "registry.example", &digest)
        .assert_status(0);
}

/// The list of crates that `cargo auditable` puts into a binary.
fn embedded_crates(binary: &Path) -> BTreeSet<String> {
    let script = "import json, sys, zlib
data = json.loads(zlib.decompress(sys.stdin.buffer.read()))
print('\\n'.join(f\"{p['name']}@{p['version']}\" for p in data['packages']))";
    let binary = binary.to_str().expect("UTF-8");
    let dir = tempfile::tempdir().expect("a directory");
    let section = dir.path().join("section");
    let section = section.to_str().expect("UTF-8");
    let options = [
        "-O",
        "binary",
        "--only-section=.dep-v0",
        "--set-section-flags=.dep-v0=alloc",
    ];
    run("objcopy", &[&options[..], &[binary, section]].concat());
    let read = Command::new("python3")
        .args(["-c", script])
        .stdin(fs::File::open(section).expect("the section"))
        .output();
    let read = RunOutput::from(read.expect("python3"));
    let crates = &read.assert_status(0).stdout;
    crates.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs `make static`"]
fn binary_lists_the_crates_of_the_sbom_that_are_linked() {
    let embedded = embedded_crates(Path::new(BINARY));
    let linked = linked_crates(&sbom());
    assert!(
        linked.is_subset(&embedded),
        "{:?}",
        linked.difference(&embedded)
    );
    assert!(!embedded.contains("proptest"), "{embedded:?}");
}

/// Every name has one address, 127.0.0.1, and no other record (RFC 1035, section 4.1).
fn dns_answer(query: &[u8]) -> Vec<u8> {
    let labels = query[12..].iter().position(|byte| *byte == 0);
    let question_end = 12 + labels.expect("the root label") + 5;
    let is_a = query[question_end - 4..question_end] == [0, 1, 0, 1];
    let mut answer = query[..2].to_vec();
    // Response, recursion available; one question, as many answers, nothing else.
    answer.extend([0x81, 0x80, 0, 1, 0, is_a.into(), 0, 0, 0, 0]);
    answer.extend(&query[12..question_end]);
    if is_a {
        // The question's name, A, IN, a minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}
