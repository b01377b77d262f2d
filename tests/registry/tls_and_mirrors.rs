//! `--tls-verify`, and mirrors of registries.conf(5).

use std::fs;

use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

#[test]
fn plain_http_fails_without_tls_verify_false() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .run(["fetch", &reference])
        .assert_status(1)
        .assert_says("TLS failed");
    cache.assert_empty();
}

#[test]
fn item_tls_verify_true_overrides_the_option() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let file = cache.beside("items.json");
    let fetch = |image: serde_json::Value| {
        let items = serde_json::json!({ &digest: { "image": image } });
        fs::write(&file, items.to_string()).expect("a file");
        cache.fetch(&["--manifest", file.to_str().expect("UTF-8")])
    };
    let name = format!("{}/app", registry.address());
    let required = serde_json::json!({ "name": name, "tls-verify": true });
    fetch(required).assert_status(1).assert_says("TLS failed");
    let unset = serde_json::json!({ "name": name });
    fetch(unset).assert_status(0);
}

/// With a mirror, the exit status follows the registry's error, and the mirror is enough
/// for success.
#[test]
fn mirror_failure_reports_the_registry_and_mirror_hit_succeeds() {
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
        RunOutput::from(home.output().expect("the binary"))
    };
    registry.behave(&digest, Behaviour::unauthorized());
    fetch().assert_status(12).assert_says("Mirrors also failed");
    mirror.put_as(&digest, samples::empty());
    fetch().assert_status(0);
}
