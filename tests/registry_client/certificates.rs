//! Certificates by registry, and the system's.

use std::fs;
use std::process::Command;
use std::sync::LazyLock;

use rustls::RootCertStore;
use skopeo_index::registry::{DomainCertificates, system_roots};

use super::machine::Machine;

/// A certificate and its key, and another certificate, in PEM.
static PEM: LazyLock<[String; 3]> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let create = |name: &str| {
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1";
        let status = Command::new("openssl")
            .args(request.split(' '))
            .args(["-subj", &format!("/CN={name}")])
            .args(["-keyout", "key", "-out", name])
            .current_dir(&dir)
            .output();
        assert!(status.expect("openssl").status.success());
        fs::read_to_string(dir.path().join(name)).expect("a certificate")
    };
    let (other, certificate) = (create("other"), create("certificate"));
    let key = fs::read_to_string(dir.path().join("key")).expect("a key");
    [certificate, key, other]
});

fn root_count(certificates: &DomainCertificates) -> usize {
    let mut store = RootCertStore::empty();
    certificates.add_roots(&mut store);
    store.len()
}

/// The number of CA certificates for a registry, after these files were written.
fn roots_after(files: &[&str], domain: &str) -> usize {
    let machine = Machine::new();
    for file in files {
        machine.write(file, &PEM[0]);
    }
    root_count(machine.permit(&format!("{domain}/x")).certificates())
}

#[test]
fn first_directory_of_the_registry_is_taken() {
    let user = "home/.config/containers/certs.d/quay.io/ca.crt";
    let system = [
        "etc/containers/certs.d/quay.io/a.crt",
        "etc/containers/certs.d/quay.io/b.crt",
    ];
    let docker = [
        "etc/docker/certs.d/quay.io/a.crt",
        "etc/docker/certs.d/quay.io/b.txt",
    ];
    assert_eq!(roots_after(&[&[user], &system[..]].concat(), "quay.io"), 1);
    assert_eq!(roots_after(&[&docker[..], &system].concat(), "quay.io"), 2);
    assert_eq!(roots_after(&docker, "quay.io"), 1);
    assert_eq!(roots_after(&docker, "quay.io:443"), 0);
    let hub = ["etc/docker/certs.d/docker.io/a.crt"];
    assert_eq!(roots_after(&hub, "index.docker.io"), 1);
}

#[test]
fn cert_dir_option_replaces_the_directories() {
    let mut machine = Machine::new();
    machine.write("etc/docker/certs.d/quay.io/a.key", "");
    machine.write("certs/ca.crt", format!("{}{}", PEM[0], PEM[2]));
    machine.options.cert_dir = Some(machine.path("certs"));
    assert_eq!(root_count(machine.permit("quay.io/a").certificates()), 2);
    machine.options.cert_dir = Some(machine.path("missing"));
    assert!(machine.check("quay.io/a").is_err());
}

#[test]
fn client_certificate_needs_its_key() {
    let dir = "etc/containers/certs.d/quay.io";
    let check = |files: &[(&str, &str)]| {
        let machine = Machine::new();
        for (file, content) in files {
            machine.write(&format!("{dir}/{file}"), content);
        }
        let permit = machine.check("quay.io/a");
        permit.map(|permit| {
            permit
                .certificates()
                .client()
                .map_or(0, |pair| pair.chain.len())
        })
    };
    let (certificate, key) = (PEM[0].as_str(), PEM[1].as_str());
    assert_eq!(check(&[("a.cert", certificate), ("a.key", key)]), Ok(1));
    assert_eq!(check(&[("a.crt", certificate)]), Ok(0));
    for files in [
        &[("a.cert", certificate)][..],
        &[("a.key", key)],
        &[("a.cert", certificate), ("b.key", key)],
        &[("a.cert", ""), ("a.key", key)],
        &[("a.cert", certificate), ("a.key", "")],
        &[
            ("a.cert", certificate),
            ("a.key", key),
            ("b.cert", certificate),
            ("b.key", key),
        ],
    ] {
        assert!(
            check(files).is_err(),
            "{:?}",
            files.iter().map(|(file, _)| file)
        );
    }
}

#[test]
fn directory_of_later_skopeos_is_a_refusal() {
    for dir in [
        "usr/share/containers/certs.d",
        "etc/containers/certs.rootless.d",
    ] {
        let machine = Machine::new();
        machine.write(&format!("{dir}/quay.io/ca.crt"), &PEM[0]);
        assert!(machine.check("quay.io/a").is_err(), "{dir}");
        assert!(machine.check("b.io/a").is_ok(), "{dir}");
    }
}

#[test]
fn unreadable_certificate_is_a_refusal() {
    let machine = Machine::new();
    machine.write("etc/docker/certs.d/quay.io/ca.crt/x", "");
    assert!(
        machine
            .refusal("quay.io/a")
            .contains("ca.crt: is a directory")
    );
    let machine = Machine::new();
    machine.write("etc/docker/certs.d", "");
    assert!(machine.check("quay.io/a").is_err());
}

#[test]
fn system_roots_are_the_first_bundle_and_all_directories() {
    let machine = Machine::new();
    assert_eq!(system_roots(&machine.host()).len(), 0);
    machine.write("etc/ssl/cert.pem", &PEM[2]);
    assert_eq!(system_roots(&machine.host()).len(), 1);
    machine.write("etc/pki/tls/certs/ca-bundle.crt", &PEM[0]);
    // The bundle is in a directory that is read as well.
    assert_eq!(system_roots(&machine.host()).len(), 1);
    machine.write("etc/ssl/certs/garbage", [0xff; 100]);
    machine.write("etc/ssl/certs/other.pem", format!("{}x", PEM[2]));
    std::os::unix::fs::symlink("other.pem", machine.path("etc/ssl/certs/0.0")).expect("a link");
    assert_eq!(system_roots(&machine.host()).len(), 2);
}

#[test]
fn ssl_cert_variables_replace_the_system_roots() {
    let mut machine = Machine::new();
    machine.write("etc/ssl/cert.pem", &PEM[0]);
    machine.write("etc/ssl/certs/a.pem", &PEM[0]);
    machine.write("a/x", &PEM[0]);
    machine.write("b/x", &PEM[2]);
    machine.set("SSL_CERT_FILE", machine.path("missing"));
    machine.set("SSL_CERT_DIR", "/nonexistent");
    assert_eq!(system_roots(&machine.host()).len(), 0);
    let dirs = std::env::join_paths([machine.path("a"), machine.path("b")]).expect("a list");
    machine.set("SSL_CERT_DIR", dirs);
    assert_eq!(system_roots(&machine.host()).len(), 2);
    machine.set("SSL_CERT_DIR", "/nonexistent");
    machine.set("SSL_CERT_FILE", machine.path("b/x"));
    assert_eq!(system_roots(&machine.host()).len(), 1);
}

#[test]
fn certificate_after_a_broken_one_is_kept() {
    let mut machine = Machine::new();
    let invalid = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = machine.write("bundle", format!("{}{invalid}{}", PEM[0], PEM[2]));
    machine.set("SSL_CERT_FILE", bundle);
    assert_eq!(system_roots(&machine.host()).len(), 2);
}
