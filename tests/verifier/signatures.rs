//! Real verifiers: `skopeo standalone-verify` with a GPG key, `gpgv`, `ssh-keygen -Y verify`.

use std::fs;
use std::path::Path;
use std::process::Command;

use test_support::loopback::samples;

use crate::Scene;

/// Runs a program to its end, and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("a program");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The index in a file beside the cache, to be signed.
fn document(scene: &Scene) -> String {
    let file = scene.cache.beside("index");
    fs::write(&file, samples::oci_index(2)).expect("a file");
    file.display().to_string()
}

#[test]
fn skopeo_standalone_verify_approves_a_signature_by_the_right_key() {
    let scene = Scene::new();
    let (document, home) = (document(&scene), scene.cache.beside("gpg"));
    run(Command::new("install").args(["-d", "-m", "700"]).arg(&home));
    let gpg = |args: &[&str]| run(Command::new("gpg").env("GNUPGHOME", &home).args(args));
    let new_key = |user: &str| {
        gpg(&[
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            user,
            "rsa2048",
            "sign",
            "never",
        ]);
        let listed = gpg(&["--batch", "--with-colons", "--list-keys", user]);
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:"));
        fingerprint.expect("a key").trim_matches(':').to_owned()
    };
    let (key, other) = (new_key("alice"), new_key("mallory"));
    let name = format!("{}/group/app", scene.registry.address());
    let signature = scene
        .cache
        .beside(&format!("{}.sig", scene.digest))
        .display()
        .to_string();
    let sign = |name: &str| {
        let args = [
            "standalone-sign",
            &document,
            name,
            &key,
            "--output",
            &signature,
        ];
        run(Command::new("skopeo").env("GNUPGHOME", &home).args(args));
    };
    sign(&name);
    let dir = Path::new(&signature)
        .parent()
        .expect("a directory")
        .display()
        .to_string();
    let verifier = |key: &str| {
        format!(
            "env GNUPGHOME={} skopeo standalone-verify {{file}} {{name}} {key} {dir}/{{digest}}.sig",
            home.display()
        )
    };
    scene.fetch(&[&verifier(&other)], &[]).assert_status(18);
    scene.cache.assert_empty();
    scene.fetch(&[&verifier(&key)], &[]).assert_status(0);
    sign("localhost/another");
    scene.fetch(&[&verifier(&key)], &[]).assert_status(18);
    run(Command::new("gpgconf")
        .env("GNUPGHOME", &home)
        .args(["--kill", "gpg-agent"]));
}

#[test]
fn ssh_keygen_approves_a_signature_of_the_bytes() {
    let scene = Scene::new();
    let document = document(&scene);
    let key = |name: &str| {
        let key = scene.cache.beside(name).display().to_string();
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]));
        key
    };
    let (alice, mallory) = (key("alice"), key("mallory"));
    let signers = scene.cache.beside("signers").display().to_string();
    let public = scene.file("alice.pub");
    fs::write(&signers, format!("alice@example.com {public}")).expect("a file");
    let verifier = format!(
        "ssh-keygen -Y verify -f {signers} -I alice@example.com -n image -s {document}.sig"
    );
    for (key, status) in [(&mallory, 18), (&alice, 0)] {
        run(Command::new("rm").args(["-f", &format!("{document}.sig")]));
        run(Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-f", key, "-n", "image", &document]));
        // The bytes are its stdin.
        scene.fetch(&[&verifier], &[]).assert_status(status);
    }
    let (record, _) = &scene.verifications()[1];
    assert!(
        record["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("/ssh-keygen"))
    );
}

/// What docs/verifiers.md says of policy.json.
#[test]
fn skopeo_copies_an_index_that_policy_json_rejects() {
    let scene = Scene::new();
    let policy = scene.cache.beside("reject.json");
    fs::write(&policy, r#"{"default":[{"type":"reject"}]}"#).expect("a file");
    let copy = scene.cache.beside("copy");
    run(Command::new("skopeo")
        .arg("--policy")
        .arg(&policy)
        .args(["copy", "--multi-arch=index-only", "--src-tls-verify=false"])
        .arg(format!("docker://{}", scene.reference))
        .arg(format!("dir:{}", copy.display())));
    let copied = fs::read(copy.join("manifest.json")).expect("a copy");
    assert_eq!(copied, samples::oci_index(2));
}
