//! `audit export`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

use crate::python;

/// A log with the fetch of one index, by the registry client.
struct Scene {
    registry: Registry,
    cache: Cache,
    digest: String,
    log: String,
}

impl Scene {
    fn new(more: &[&str]) -> Self {
        let (registry, cache) = (Registry::start(), Cache::new());
        let scene = Self {
            digest: registry.put(samples::oci_index(2)),
            log: cache.beside("log").display().to_string(),
            cache,
            registry,
        };
        scene.fetch(&scene.digest, more).assert_status(0);
        scene
    }

    fn fetch(&self, digest: &str, more: &[&str]) -> RunOutput {
        let reference = format!("{}/group/app@{digest}", self.registry.address());
        let args = [&reference, "--engine=registry", "--audit-log", &self.log];
        self.cache.fetch(&[&args, more].concat())
    }

    fn export(&self, more: &[&str]) -> RunOutput {
        let args = ["audit", "export", &self.log, "--in-toto", "--all"];
        self.cache.run(args.iter().chain(more))
    }

    fn resource_uri(&self) -> String {
        let (digest, address) = (&self.digest, self.registry.address());
        format!("pkg:oci/app@{digest}?repository_url={address}%2Fgroup%2Fapp")
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let file = self.cache.beside(name);
        fs::write(&file, content).expect("a file");
        file.display().to_string()
    }
}

fn openssl(args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).output();
    let output = output.expect("openssl");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

const ORIGIN: [&str; 2] = ["--origin", "example.com/builds"];
const VERIFIER: [&str; 2] = ["--verifier-id", "https://example.com/verifier"];
const LEVEL: &str = "SKOPEO_INDEX_DIGEST_VERIFIED";

#[test]
fn envelope_of_an_ed25519_key_verifies_and_no_single_change_of_it_does() {
    let scene = Scene::new(&ORIGIN);
    let secret = scene.cache.beside("secret").display().to_string();
    let output = scene
        .cache
        .run(["audit", "keygen", &secret, "--name", "example.com/builds"]);
    output.assert_status(0);
    let key = output.stdout.trim_end();
    let key_id = key.split('+').nth(1).expect("an id");
    let output = scene.export(&["--dsse", "--signing-key", &secret]);
    output.assert_status(0);
    let file = scene.file("statement.intoto.jsonl", &output.stdout);
    let (digest, uri) = (&scene.digest, &scene.resource_uri());
    let id = "https://example.com/builds";
    python(
        "statement.py",
        &["changes", key, key_id, &file, digest, id, uri, LEVEL],
    );
}

#[test]
fn envelope_of_an_ecdsa_key_verifies_and_no_single_change_of_it_does() {
    let scene = Scene::new(&[]);
    let curve = "ec_paramgen_curve:P-256";
    let secret = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", curve]);
    let secret = scene.file("secret.pem", secret);
    let public = openssl(&["pkey", "-in", &secret, "-pubout"]);
    let public = scene.file("public.pem", public);
    let spki = openssl(&["pkey", "-in", &secret, "-pubout", "-outform", "DER"]);
    let output = scene.export(&[&VERIFIER[..], &["--dsse", "--signing-key", &secret]].concat());
    output.assert_status(0);
    let file = scene.file("statement.intoto.jsonl", &output.stdout);
    let (digest, uri) = (&scene.digest, &scene.resource_uri());
    let key_id = &Digest::of(&spki).hex();
    let [_, id] = VERIFIER;
    python(
        "statement.py",
        &["changes", &public, key_id, &file, digest, id, uri, LEVEL],
    );
}

#[test]
fn key_that_cannot_sign_envelopes_is_a_usage_error() {
    let scene = Scene::new(&ORIGIN);
    let export = |content: &[u8]| {
        let secret = scene.file("secret", content);
        scene.export(&["--dsse", "--signing-key", &secret])
    };
    let of_curve = |curve: &str| {
        let curve = format!("ec_paramgen_curve:{curve}");
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", &curve])
    };
    let p256 = scene.file("p256", of_curve("P-256"));
    for refused in [
        of_curve("P-384"),
        openssl(&["genpkey", "-algorithm", "ED25519"]),
        openssl(&[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ]),
        openssl(&["ec", "-in", &p256]),
        openssl(&["pkey", "-in", &p256, "-pubout"]),
        b"-----BEGIN PRIVATE KEY-----\n".to_vec(),
    ] {
        export(&refused).assert_status(2).assert_says("ECDSA P-256");
    }
    export(b"x")
        .assert_status(2)
        .assert_says("not a secret key");
    scene.export(&["--dsse"]).assert_status(2);
    let without_dsse = scene.export(&["--signing-key", &p256]);
    without_dsse.assert_status(2).assert_says("--dsse");
}

#[test]
fn verifier_id_is_required_unless_the_origin_is_a_url() {
    let verifier_of = |scene: &Scene, more: &[&str]| {
        let output = scene.export(more);
        output.assert_status(0);
        let statement: Value = serde_json::from_str(&output.stdout).expect("JSON");
        statement["predicate"]["verifier"].clone()
    };
    let scene = Scene::new(&[]);
    let refused = scene.export(&[]);
    refused.assert_status(2).assert_says("--verifier-id URI");
    scene.export(&["--verifier-id", "a b"]).assert_status(2);
    assert_eq!(
        verifier_of(&scene, &VERIFIER),
        json!({ "id": VERIFIER[1], "version": { "skopeo-index": env!("CARGO_PKG_VERSION") } })
    );
    let scene = Scene::new(&ORIGIN);
    assert_eq!(verifier_of(&scene, &[])["id"], "https://example.com/builds");
    assert_eq!(verifier_of(&scene, &VERIFIER)["id"], VERIFIER[1]);
}

#[test]
fn fetch_without_a_verdict_is_skipped_and_counted() {
    let scene = Scene::new(&ORIGIN);
    let other = scene.registry.put(samples::oci_index(3));
    scene.registry.behave(
        &other,
        Behaviour::error("500 Internal Server Error", "UNKNOWN", "broken"),
    );
    let missing = format!("sha256:{}", "0".repeat(64));
    let retry = ["--retry-times", "0"];
    scene.fetch(&other, &retry).assert_status(14);
    scene.fetch(&missing, &retry).assert_status(13);
    let changed = scene.registry.put(samples::oci_index(4));
    scene.registry.put_as(&changed, samples::oci_index(5));
    scene.fetch(&changed, &retry).assert_status(10);
    let output = scene.export(&[]);
    output.assert_status(0);
    assert!(output.stderr.contains("skipped 2 fetches"), "{output:#?}");
    let results: Vec<Value> = output
        .stdout
        .lines()
        .map(|line| {
            let statement: Value = serde_json::from_str(line).expect("JSON");
            json!([
                statement["subject"][0]["digest"]["sha256"],
                statement["predicate"]["verificationResult"]
            ])
        })
        .collect();
    assert_eq!(
        results,
        [
            json!([scene.digest[7..], "PASSED"]),
            json!([changed[7..], "FAILED"])
        ]
    );
    let of_missing = [
        "audit",
        "export",
        &scene.log,
        "--in-toto",
        "--digest",
        &missing,
    ];
    let output = scene.cache.run(of_missing);
    output.assert_status(13).assert_says("skipped 1 fetch ");
    assert_eq!(output.stdout, "");
}

#[test]
fn export_writes_valid_in_toto_statements_of_successes_and_failures() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (index, image) = (
        registry.put(samples::oci_index(2)),
        registry.put(samples::single_image()),
    );
    let log = cache.beside("log").display().to_string();
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&of(&index), &of(&image), "--audit-log", &log])
        .assert_status(11);
    let to = cache.beside("statements").display().to_string();
    cache
        .run(
            [
                &["audit", "export", &log, "--in-toto", "--all", "-o", &to],
                &VERIFIER[..],
            ]
            .concat(),
        )
        .assert_status(0);
    let statements = fs::read_to_string(&to).expect("statements");
    let mut results: Vec<(String, String)> = statements
        .lines()
        .map(|line| {
            let statement: Value = serde_json::from_str(line).expect("JSON");
            let digest = statement["subject"][0]["digest"]["sha256"]
                .as_str()
                .expect("a digest")
                .to_owned();
            (
                digest,
                statement["predicate"]["verificationResult"]
                    .as_str()
                    .expect("a result")
                    .to_owned(),
            )
        })
        .collect();
    results.sort();
    let mut expected = [(&index[7..], "PASSED"), (&image[7..], "FAILED")]
        .map(|(d, r)| (d.to_owned(), r.to_owned()));
    expected.sort();
    assert_eq!(results, expected);

    let one = cache.run(
        [
            &["audit", "export", &log, "--in-toto", "--digest", &index],
            &VERIFIER[..],
        ]
        .concat(),
    );
    assert_eq!(one.stdout.lines().count(), 1);
    cache
        .run(["audit", "export", &log, "--in-toto"])
        .assert_status(2);
    cache
        .run(
            [
                &["audit", "export", &log, "--in-toto", "--seq", "0"],
                &VERIFIER[..],
            ]
            .concat(),
        )
        .assert_status(13);

    python("statement.py", &["validate", &to]);
}

#[test]
fn export_replaces_output_file_atomically() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let log = cache.beside("log").display().to_string();
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .fetch(&[&reference, "--audit-log", &log])
        .assert_status(0);
    let dir = cache.beside("out");
    fs::create_dir(&dir).expect("a directory");
    let to = dir.join("statements");
    fs::write(&to, "before").expect("a file");
    let path = to.display().to_string();
    let export = |log: &str, to: &str| {
        let args = ["audit", "export", log, "--in-toto", "--all", "-o", to];
        cache.run([&args, &VERIFIER[..]].concat())
    };
    let entries = || fs::read_dir(&dir).expect("a directory").count();

    let whole = fs::read(&log).expect("a log");
    fs::write(&log, &whole[..whole.len() - 1]).expect("a log");
    export(&log, &path).assert_status(17);
    let content = fs::read_to_string(&to).expect("a file");
    assert_eq!((content.as_str(), entries()), ("before", 1));

    fs::write(&log, &whole).expect("a log");
    export(&log, &log)
        .assert_status(2)
        .assert_says("this is the log itself");
    export(&log, "/dev/null")
        .assert_status(2)
        .assert_says("not a regular file");
    assert_eq!(fs::read(&log).expect("a log"), whole);
    export(&log, &path).assert_status(0);
    let content = fs::read_to_string(&to).expect("a file");
    assert!(content.contains("PASSED"), "{content}");
    assert_eq!(entries(), 1);

    // Such as /dev/stdout, where that is a file.
    let link = cache.beside("link");
    symlink("out/statements", &link).expect("a link");
    fs::write(&to, "before").expect("a file");
    fs::set_permissions(&to, fs::Permissions::from_mode(0o640)).expect("a file");
    export(&log, &link.display().to_string()).assert_status(0);
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&to).expect("a file"), content);
    let mode = fs::metadata(&to).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}
