//! Debian's docker-registry: kinds of indexes, credentials, TLS.

use std::fs;

use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use test_support::loopback::{Certificate, DockerRegistry, PASSWORD, USER, samples};
use test_support::program::harness::{Cache, RunOutput};

#[test]
fn docker_registry_list_of_images_is_fetched() {
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
    let output = cache.fetch(&[&reference, "--format", "json"]);
    output.assert_status(0);
    let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
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

/// The registry accepts only indexes of manifests that it has, and none above 4 MiB, which
/// only the loopback registry serves.
#[test]
fn docker_registry_every_kind_of_index_is_fetched() {
    let (registry, cache) = (DockerRegistry::plain(), Cache::new());
    let image = registry.push_image("app", "amd64");
    let inner = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let inner = serde_json::json!({ "digest": inner, "size": samples::empty().len() });
    let mut inlined = inner.clone();
    inlined["data"] = base64(&String::from_utf8(samples::empty()).expect("JSON")).into();
    let kinds = [
        pointing_to(samples::docker_list(1), &image),
        pointing_to(samples::oci_index(1), &image),
        pointing_to(samples::oci_index_without_media_type(), &image),
        pointing_to(samples::nested(), &inner),
        pointing_to(samples::with_artifact_type(), &image),
        pointing_to(samples::with_subject(), &image),
        pointing_to(samples::with_data(), &inlined),
        samples::empty(),
        pointing_to(samples::of_size(MAX_MANIFEST_SIZE), &image),
    ];
    assert_eq!(kinds[8].len(), MAX_MANIFEST_SIZE);
    for kind in &kinds {
        let document: serde_json::Value = serde_json::from_slice(kind).expect("JSON");
        let media_type = document["mediaType"].as_str().unwrap_or(samples::OCI_INDEX);
        let digest = registry.push("app", kind, media_type);
        let reference = format!("{}/app@{digest}", registry.address());
        cache.fetch(&[&reference]).assert_status(0);
        assert_eq!(&fs::read(cache.object(&digest)).expect("the object"), kind);
    }
    assert_eq!(cache.objects().len(), kinds.len());
}

/// Text in base64.
fn base64(text: &str) -> String {
    let command = format!("printf '%s' '{text}' | base64 -w0");
    let encoded = test_support::loopback::run("sh", &["-c", &command]);
    String::from_utf8(encoded).expect("base64")
}

/// The document with its descriptors pointing to `target`, which the registry has.
fn pointing_to(document: Vec<u8>, target: &serde_json::Value) -> Vec<u8> {
    let mut document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
    let point = |descriptor: &mut serde_json::Value| {
        for key in ["digest", "size", "data"] {
            if let Some(value) = target.get(key) {
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
fn credentials_missing_or_wrong_are_an_authentication_error() {
    let (registry, cache) = (DockerRegistry::with_password(), Cache::new());
    let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let reference = format!("{}/app@{digest}", registry.address());
    let auth = cache.beside("auth.json");
    let auth = auth.to_str().expect("UTF-8");
    let log_in = |password: &str| {
        let credentials = base64(&format!("{USER}:{password}"));
        let json = serde_json::json!({ "auths": { registry.address(): { "auth": credentials } } });
        fs::write(auth, json.to_string()).expect("a file");
    };

    let output = cache.fetch(&[&reference]);
    output
        .assert_status(12)
        .assert_says(&format!(
            "`skopeo login --tls-verify=false {}`",
            registry.address()
        ))
        .assert_says("no-auth.json");
    let mut command = cache.command(["fetch", "--tls-verify=false", &reference]);
    command
        .env_remove("REGISTRY_AUTH_FILE")
        .env("HOME", cache.beside("home"))
        .env("XDG_CONFIG_HOME", cache.beside("config"))
        .env("DOCKER_CONFIG", cache.beside("docker"))
        .env("XDG_RUNTIME_DIR", cache.beside("run"));
    let auth_files = [
        "run/containers/auth.json",
        "config/containers/auth.json",
        "docker/config.json",
        "home/.dockercfg",
    ];
    let auth_files = auth_files.map(|file| format!("{} (missing)", cache.beside(file).display()));
    RunOutput::from(command.output().expect("the binary"))
        .assert_status(12)
        .assert_says(&auth_files.join(", "));
    log_in("wrong");
    cache
        .fetch(&[&reference, "--authfile", auth])
        .assert_status(12)
        .assert_says(auth);
    cache.assert_empty();
    log_in(PASSWORD);
    cache
        .fetch(&[&reference, "--authfile", auth])
        .assert_status(0);
}

#[test]
fn tls_with_private_ca_requires_cert_dir() {
    let (registry, cache) = (DockerRegistry::with_tls(Certificate::Valid), Cache::new());
    let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .run(["fetch", &reference])
        .assert_status(1)
        .assert_says("--cert-dir");
    cache.assert_empty();
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

#[test]
fn tls_failure_has_the_hint_of_its_cause() {
    let table = [
        (
            Certificate::Expired,
            "certificate has expired",
            "check the clock",
        ),
        (Certificate::OtherHost, "127.0.0.2", "use a host name that"),
        (
            Certificate::NoSan,
            "SAN",
            "the registry needs a certificate with",
        ),
    ];
    for (certificate, reason, hint) in table {
        println!("{certificate:?}");
        let (registry, cache) = (DockerRegistry::with_tls(certificate), Cache::new());
        let digest = registry.push("app", &samples::empty(), samples::OCI_INDEX);
        let reference = format!("{}/app@{digest}", registry.address());
        let certs = registry.cert_dir();
        let certs = certs.to_str().expect("UTF-8");
        cache
            .run(["fetch", &reference, "--cert-dir", certs, "--retry-times=1"])
            .assert_status(1)
            .assert_says(&format!("error: {reference}: TLS failed: "))
            .assert_says(reason)
            .assert_says(&format!("hint: {hint}"));
        cache.assert_empty();
    }
}
