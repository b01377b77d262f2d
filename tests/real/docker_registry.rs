//! Debian's docker-registry: kinds of indexes, credentials, TLS.

use std::fs;

use base64::Engine;
use test_support::loopback::{DockerRegistry, PASSWORD, USER, samples};
use skopeo_index_core::index::MAX_MANIFEST_SIZE;

use crate::harness::Cache;
use crate::harness::ended;

#[test]
fn docker_registry_serves_a_list_of_images() {
    let (registry, cache) = (DockerRegistry::plain(), Cache::new());
    let images = [
        registry.push_image("app", "amd64"),
        registry.push_image("app", "arm64"),
    ];
    let list = serde_json::json!({
        "schemaVersion": 2, "mediaType": samples::OCI_INDEX, "manifests": images,
    });
    let digest = registry.push("app", list.to_string().as_bytes(), samples::OCI_INDEX);
    let reference = format!("{}/app@{digest}", registry.address());
    let ran = cache.fetch(&[&reference, "--format", "json"]);
    ran.assert_status(0);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        json["platforms"],
        serde_json::json!(["linux/amd64", "linux/arm64"])
    );
    assert_eq!(json["cached"], false);

    let image = images[0]["digest"].as_str().expect("a digest");
    let reference = format!("{}/app@{image}", registry.address());
    cache
        .fetch(&[&reference])
        .assert_status(11)
        .assert_says("single image");
}

/// Every legal kind, of manifests that the registry has: it refuses others. It
/// refuses one byte more than 4 MiB at push too, so that only the loopback
/// registry serves that.
#[test]
fn docker_registry_serves_every_kind_of_index() {
    let (registry, cache) = (DockerRegistry::plain(), Cache::new());
    let image = registry.push_image("app", "amd64");
    let inner = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let inner = serde_json::json!({ "digest": inner, "size": samples::empty().len() });
    let mut inlined = inner.clone();
    inlined["data"] = base64::engine::general_purpose::STANDARD
        .encode(samples::empty())
        .into();
    let kinds = [
        of(samples::docker_list(1), &image),
        of(samples::oci_index(1), &image),
        of(samples::oci_index_without_media_type(), &image),
        of(samples::nested(), &inner),
        of(samples::with_artifact_type(), &image),
        of(samples::with_subject(), &image),
        of(samples::with_data(), &inlined),
        samples::empty(),
        of(samples::of_size(MAX_MANIFEST_SIZE), &image),
    ];
    assert_eq!(kinds[8].len(), MAX_MANIFEST_SIZE);
    for kind in &kinds {
        let document: serde_json::Value = serde_json::from_slice(kind).expect("JSON");
        let media_type = document["mediaType"].as_str().unwrap_or(samples::OCI_INDEX);
        let digest = registry.push("app", kind, media_type);
        let reference = format!("{}/app@{digest}", registry.address());
        cache.fetch(&[&reference]).assert_status(0);
        assert_eq!(&fs::read(cache.object(&digest)).expect("it"), kind);
    }
    assert_eq!(cache.objects().len(), kinds.len());
}

/// The document, with what it points to replaced by something that is there.
fn of(document: Vec<u8>, there: &serde_json::Value) -> Vec<u8> {
    let mut document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
    let point = |descriptor: &mut serde_json::Value| {
        for key in ["digest", "size", "data"] {
            if let Some(value) = there.get(key) {
                descriptor[key] = value.clone();
            }
        }
    };
    document["manifests"]
        .as_array_mut()
        .expect("a list")
        .iter_mut()
        .for_each(point);
    document.get_mut("subject").into_iter().for_each(point);
    document.to_string().into_bytes()
}

#[test]
fn credentials_open_a_registry_and_wrong_ones_do_not() {
    let (registry, cache) = (DockerRegistry::with_password(), Cache::new());
    let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let reference = format!("{}/app@{digest}", registry.address());
    let auth = cache.beside("auth.json");
    let auth = auth.to_str().expect("UTF-8");
    let log_in = |password: &str| {
        let credentials = test_support::loopback::run(
            "sh",
            &["-c", &format!("printf '{USER}:{password}' | base64 -w0")],
        );
        let credentials = String::from_utf8(credentials).expect("base64");
        let json = serde_json::json!({ "auths": { registry.address(): { "auth": credentials } } });
        fs::write(auth, json.to_string()).expect("a file");
    };

    let ran = cache.fetch(&[&reference]);
    ran.assert_status(12)
        .assert_says("skopeo login")
        .assert_says("no-auth.json (not there)");
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference]);
    command
        .env_remove("REGISTRY_AUTH_FILE")
        .env("HOME", cache.beside("home"))
        .env("XDG_CONFIG_HOME", cache.beside("config"))
        .env("DOCKER_CONFIG", cache.beside("docker"))
        .env("XDG_RUNTIME_DIR", cache.beside("run"));
    let looked_for = [
        "run/containers/auth.json",
        "config/containers/auth.json",
        "docker/config.json",
        "home/.dockercfg",
    ];
    let looked_for = looked_for.map(|file| format!("{} (not there)", cache.beside(file).display()));
    ended(command.output().expect("the binary"))
        .assert_status(12)
        .assert_says(&looked_for.join(", "));
    log_in("wrong");
    cache
        .fetch(&[&reference, "--authfile", auth])
        .assert_status(12)
        .assert_says(auth);
    cache.assert_nothing_kept();
    log_in(PASSWORD);
    cache
        .fetch(&[&reference, "--authfile", auth])
        .assert_status(0);
}

#[test]
fn a_private_ca_is_trusted_by_cert_dir_only() {
    let (registry, cache) = (DockerRegistry::with_tls(), Cache::new());
    let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .run(["fetch", &reference])
        .assert_status(1)
        .assert_says("--cert-dir");
    cache.assert_nothing_kept();
    let certs = registry.cert_dir();
    cache
        .run([
            "fetch",
            &reference,
            "--cert-dir",
            certs.to_str().expect("UTF-8"),
        ])
        .assert_status(0);
}
