//! Registries that do as they should.

use std::fs;

use base64::Engine;
use loopback::{Behaviour, DockerRegistry, PASSWORD, Registry, USER, samples};
use skopeo_index::index::MANIFEST_MAX;

use crate::harness::{Cache, ended};

/// Fetches a document from a loopback registry, and has it in the cache.
#[track_caller]
fn assert_fetched(document: &[u8], method: &str) {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(document);
    let reference = format!("{}/some/image@{digest}", registry.address());
    let ran = cache.fetch(&[&reference, "--method", method]);
    ran.assert_status(0);
    assert_eq!(
        ran.stdout.trim(),
        cache.object(&digest).display().to_string()
    );
    assert_eq!(
        fs::read(cache.object(&digest)).expect("the object"),
        document
    );
    cache.assert_no_leftover();
}

#[test]
fn fetches_an_oci_index() {
    assert_fetched(&samples::oci_index(3), "raw");
}

#[test]
fn fetches_an_oci_index_without_media_type() {
    assert_fetched(&samples::oci_index_without_media_type(), "raw");
}

#[test]
fn fetches_a_docker_list() {
    assert_fetched(&samples::docker_list(3), "raw");
}

#[test]
fn fetches_a_nested_index() {
    assert_fetched(&samples::nested(), "raw");
}

#[test]
fn fetches_an_index_with_an_artifact_type() {
    assert_fetched(&samples::with_artifact_type(), "raw");
}

#[test]
fn fetches_an_index_with_a_subject() {
    assert_fetched(&samples::with_subject(), "raw");
}

#[test]
fn fetches_an_index_with_data_in_a_descriptor() {
    assert_fetched(&samples::with_data(), "raw");
}

#[test]
fn fetches_an_index_of_nothing() {
    assert_fetched(&samples::empty(), "raw");
}

#[test]
fn fetches_an_index_of_4_mib() {
    assert_fetched(&samples::of_size(MANIFEST_MAX), "raw");
}

#[test]
fn copies_a_docker_list_by_the_three_commands() {
    assert_fetched(&samples::docker_list(3), "copy");
}

#[test]
fn copies_an_oci_index_by_the_three_commands() {
    assert_fetched(&samples::oci_index(3), "copy");
}

#[test]
fn refuses_one_byte_more_than_4_mib() {
    for method in ["raw", "copy"] {
        let (registry, cache) = (Registry::start(), Cache::new());
        let digest = registry.put(samples::of_size(MANIFEST_MAX + 1));
        let reference = format!("{}/image@{digest}", registry.address());
        cache
            .fetch(&[&reference, "--method", method])
            .assert_status(11);
        cache.assert_nothing_kept();
    }
}

#[test]
fn a_copy_that_skopeo_serialises_anew_is_refused_and_raw_is_not() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::with_data());
    let reference = format!("{}/image@{digest}", registry.address());
    let copied = cache.fetch(&[&reference, "--method", "copy"]);
    // skopeo from 1.10 on leaves the bytes alone.
    if copied.status != Some(0) {
        copied.assert_status(10).assert_says("digest mismatch");
        cache.assert_nothing_kept();
    }
    cache.fetch(&[&reference]).assert_status(0);
}

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
        of(samples::of_size(MANIFEST_MAX), &image),
    ];
    assert_eq!(kinds[8].len(), MANIFEST_MAX);
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
        let credentials = loopback::run(
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

#[test]
fn plain_http_is_refused_unless_it_is_allowed() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .run(["fetch", &reference])
        .assert_status(1)
        .assert_says("TLS failed");
    cache.assert_nothing_kept();
}

#[test]
fn an_item_that_wants_tls_is_not_fetched_without_whatever_the_option_says() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let file = cache.beside("items.json");
    let fetch = |image: serde_json::Value| {
        let items = serde_json::json!({ &digest: { "image": image } });
        fs::write(&file, items.to_string()).expect("a file");
        cache.fetch(&["--manifest", file.to_str().expect("UTF-8")])
    };
    let name = format!("{}/app", registry.address());
    let wants = serde_json::json!({ "name": name, "tls-verify": true });
    fetch(wants).assert_status(1).assert_says("TLS failed");
    let silent = serde_json::json!({ "name": name });
    fetch(silent).assert_status(0);
}

/// A registry with a mirror: who fails how says it, and who has it serves it.
#[test]
fn of_a_registry_and_its_mirror_the_registry_decides() {
    let (registry, mirror, cache) = (Registry::start(), Registry::start(), Cache::new());
    let conf = cache.beside(".config/containers");
    fs::create_dir_all(&conf).expect("a directory");
    let location = |table: &str, of: &Registry| {
        format!(
            "[[{table}]]\nlocation = \"{}\"\ninsecure = true\n",
            of.address()
        )
    };
    let text = location("registry", &registry) + &location("registry.mirror", &mirror);
    fs::write(conf.join("registries.conf"), text).expect("a file");
    let digest = registry.put(samples::empty());
    let fetch = || {
        let reference = format!("{}/app@{digest}", registry.address());
        let mut command = cache.command(["fetch", "--retry-times=0", &reference]);
        let home = command.env("HOME", cache.beside(""));
        ended(home.output().expect("the binary"))
    };
    registry.behave(&digest, Behaviour::unauthorized());
    fetch().assert_status(12).assert_says("Mirrors also failed");
    mirror.put_as(&digest, samples::empty());
    fetch().assert_status(0);
}

#[test]
fn what_a_tag_resolves_to_can_be_fetched() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put(samples::oci_index(2));
    registry.put_as("v1", samples::oci_index(2));
    let tag = format!("{}/app:v1", registry.address());
    let resolved = cache.run(["resolve", "--tls-verify=false", &tag]);
    resolved.assert_status(0);
    cache.fetch(&[resolved.stdout.trim()]).assert_status(0);

    let items = cache.run(["resolve", "--tls-verify=false", "--format=osbuild", &tag]);
    let file = cache.beside("items.json");
    fs::write(&file, &items.stdout).expect("a file");
    // The item itself says that plain HTTP will do.
    let ran = cache.run(["fetch", "--manifest", file.to_str().expect("UTF-8")]);
    ran.assert_status(0).assert_says("cached");

    let other = format!("{}/other:v1", registry.address());
    let both = [
        "resolve",
        "--tls-verify=false",
        "--format=osbuild",
        &tag,
        &other,
    ];
    let ran = cache.run(both);
    ran.assert_status(0).assert_says("have one digest");
    assert_eq!(ran.stdout.matches("\"name\"").count(), 1, "{ran:?}");

    let json = cache.run(["resolve", "--tls-verify=false", "--format=json", &tag]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["reference"], resolved.stdout.trim(), "{json}");
    assert_eq!(json["platforms"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_does_not_resolve_says_why() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.address();
    let resolve = |name: &str| cache.run(["resolve", "--tls-verify=false", name]);
    resolve(&format!("{at}/app:missing"))
        .assert_status(13)
        .assert_says("hint: are name and digest right");
    resolve(&format!("{at}/app@{}", loopback::digest(b"")))
        .assert_status(2)
        .assert_says("it has a digest already");
    registry.behave("v1", Behaviour::status("503 Service Unavailable"));
    resolve(&format!("{at}/app:v1"))
        .assert_status(14)
        .assert_says("attempt 1: ")
        .assert_says("attempt 2: ");

    registry.put_as("v2", samples::docker_list(1));
    registry.behave_once("v2", [Behaviour::status("503 Service Unavailable")]);
    resolve(&format!("{at}/app:v2"))
        .assert_status(0)
        .assert_says("attempt 1: ");
}

#[test]
fn a_tag_of_a_single_image_does_not_resolve() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("v1", samples::single_image());
    let tag = format!("{}/app:v1", registry.address());
    cache
        .run(["resolve", "--tls-verify=false", &tag])
        .assert_status(11);
}

#[test]
fn a_tag_beside_the_digest_is_dropped_aloud() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app:v1@{digest}", registry.address());
    cache
        .fetch(&[&reference])
        .assert_status(0)
        .assert_says("the tag \"v1\" is dropped");
}

#[test]
fn a_hit_asks_no_registry() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    cache
        .fetch(&[&reference, "--offline"])
        .assert_status(0)
        .assert_says("1 cached");
    assert_eq!(registry.requests(&digest), 1);
}

#[test]
fn a_corrupt_object_is_quarantined_and_fetched_anew() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let document = samples::oci_index(2);
    let digest = registry.put(document.clone());
    let reference = format!("{}/app@{digest}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    fs::write(cache.object(&digest), "not what it was").expect("the object");

    cache.fetch(&[&reference, "--offline"]).assert_status(15);
    fs::write(cache.object(&digest), "nor what it should be").expect("the object");
    cache
        .fetch(&[&reference])
        .assert_status(0)
        .assert_says("was corrupt");
    assert_eq!(
        fs::read(cache.object(&digest)).expect("the object"),
        document
    );
    let kept = cache
        .path()
        .join(format!(".skopeo-index/quarantine/{digest}.2"));
    assert_eq!(
        fs::read_to_string(kept).expect("what was there"),
        "nor what it should be"
    );
}

#[test]
fn a_transient_failure_is_tried_again() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let unavailable = loopback::Behaviour::status("503 Service Unavailable");
    registry.behave_once(&digest, [unavailable.clone(), unavailable]);
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference])
        .assert_status(0)
        .assert_says("attempt 2");
    assert_eq!(registry.requests(&digest), 3);
}
