//! Words, placeholders, exit statuses, several verifiers, hits.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use skopeo_index_core::digest::Digest;
use test_support::loopback::samples;
use test_support::program::harness::RunOutput;

use crate::Scene;

#[test]
fn approving_verifier_lets_the_index_be_committed() {
    let scene = Scene::new();
    scene.fetch(&["true"], &[]).assert_status(0);
    assert_eq!(scene.cache.objects(), [scene.digest]);
    scene.cache.assert_no_staging();
}

#[test]
fn refusing_verifier_fails_the_fetch_with_status_18_and_nothing_is_committed() {
    let scene = Scene::new();
    let script = scene.script("check", "echo first; echo 'no signature' >&2; exit 3");
    let output = scene.fetch(&[&script], &[]);
    let message = "refused by a verifier: check: no signature (exit status 3)";
    output.assert_status(18).assert_says(message);
    assert_eq!(output.stdout, "");
    scene.cache.assert_empty();
}

#[test]
fn placeholders_are_replaced_after_words_are_split() {
    let scene = Scene::new();
    let script = scene.script("show", "out=$1; shift; printf '<%s>\\n' \"$@\" > \"$out\"");
    let out = scene.cache.beside("out").display().to_string();
    let command = format!(
        "{script} '{out}' {{name}} {{digest}} {{reference}} 'two words' a\\ b \"{{name}}; $(exit)\" '' && {{}}"
    );
    scene.fetch(&[&command], &[]).assert_status(0);
    let name = format!("{}/group/app", scene.registry.address());
    let (digest, reference) = (&scene.digest, &scene.reference);
    let expected = format!(
        "<{name}>\n<{digest}>\n<{reference}>\n<two words>\n<a b>\n<{name}; $(exit)>\n<>\n<&&>\n<{{}}>\n"
    );
    assert_eq!(scene.file("out"), expected);
}

#[test]
fn file_and_stdin_are_the_verified_bytes() {
    let scene = Scene::new();
    let out = scene.cache.beside("out").display().to_string();
    let script = scene.script("copy", "cat \"$1\" > \"$2\"; cat > \"$2.stdin\"");
    scene
        .fetch(&[&format!("{script} {{file}} {out}")], &[])
        .assert_status(0);
    let expected = String::from_utf8(samples::oci_index(2)).expect("UTF-8");
    assert_eq!(scene.file("out"), expected);
    assert_eq!(scene.file("out.stdin"), expected);
}

#[test]
fn file_in_a_cache_whose_path_is_not_utf8_is_found() {
    let scene = Scene::new();
    let path = scene.cache.path().into_os_string().into_vec();
    let path = OsString::from_vec([path, b"\xff".to_vec()].concat());
    let script = scene.script("compare", "cmp \"$1\" -");
    let log = scene.log_path();
    let mut fetch = scene.cache.command(["fetch", "--tls-verify=false"]);
    fetch
        .args(["--format=json", &scene.reference])
        .args(["--verifier", &format!("{script} {{file}}")])
        .arg("--audit-log")
        .arg(&log)
        .env("SKOPEO_INDEX_CACHE", &path);
    RunOutput::from(fetch.output().expect("the binary")).assert_status(0);
    assert!(Path::new(&path).join(&scene.digest).exists());
    assert_eq!(scene.verifications().len(), 1);
}

#[test]
fn each_of_several_verifiers_must_approve() {
    for (verifiers, status) in [
        (["true", "true", "true"], 0),
        (["true", "true", "false"], 18),
        (["true", "false", "true"], 18),
        (["false", "true", "true"], 18),
    ] {
        let scene = Scene::new();
        scene.fetch(&verifiers, &[]).assert_status(status);
        let committed = scene.cache.objects().len();
        assert_eq!(committed, usize::from(status == 0), "{verifiers:?}");
        let asked = scene.verifications().len();
        let refused = verifiers.iter().position(|verifier| *verifier == "false");
        assert_eq!(asked, refused.map_or(3, |at| at + 1), "{verifiers:?}");
    }
}

#[test]
fn hit_is_reported_once_each_verifier_has_approved_it() {
    let scene = Scene::new();
    scene.fetch(&[], &[]).assert_status(0);
    let output = scene.fetch(&["true", "false"], &[]);
    output.assert_status(18);
    assert_eq!(output.stdout, "");
    // The object is intact, so it stays.
    assert_eq!(scene.cache.objects(), [scene.digest.as_str()]);
    scene
        .fetch(&["true", "true"], &["--offline"])
        .assert_status(0);
    assert_eq!(scene.registry.requests(&scene.digest), 1);
    assert_eq!(scene.verifications().len(), 4);
}

#[test]
fn refusal_of_one_item_does_not_stop_the_others() {
    let scene = Scene::new();
    let other = scene.registry.put(samples::docker_list(3));
    let reference = format!("{}/app@{other}", scene.registry.address());
    let script = scene.script("only", &format!("test \"$1\" = {other}"));
    let output = scene.fetch(&[&format!("{script} {{digest}}")], &[&reference]);
    output.assert_status(18);
    assert_eq!(output.stdout.lines().count(), 1);
    assert_eq!(scene.cache.objects(), [other]);
}

#[test]
fn verifier_is_not_asked_about_bytes_that_are_not_the_requested_index() {
    let scene = Scene::new();
    let image = scene.registry.put(samples::single_image());
    let wrong = Digest::of(b"").to_string();
    scene.registry.put_as(&wrong, samples::empty());
    let marker = scene.cache.beside("asked");
    let script = scene.script("ask", &format!("touch {}", marker.display()));
    for (digest, status) in [(image, 11), (wrong, 10)] {
        let reference = format!("{}/app@{digest}", scene.registry.address());
        let args = [&reference, "--engine=registry", "--verifier", &script];
        scene.cache.fetch(&args).assert_status(status);
        assert!(!marker.exists(), "{status}");
    }
}

#[test]
fn invalid_verifier_is_a_usage_error_before_anything_is_done() {
    let scene = Scene::new();
    for (command, says) in [
        ("", "no program"),
        ("'cosign", "missing closing quote"),
        ("cosign {image}", "unknown placeholder \"{image}\""),
        ("{file} x", "only arguments may have placeholders"),
        (
            "/nonexistent/cosign {file}",
            "/nonexistent/cosign: command not found",
        ),
        (
            "no-such-program {file}",
            "no-such-program: command not found",
        ),
        ("/tmp {file}", "/tmp: permission denied"),
        ("/etc/passwd {file}", "/etc/passwd: permission denied"),
    ] {
        let verifier = format!("--verifier={command}");
        let output = scene.cache.fetch(&[&scene.reference, &verifier]);
        // An empty value is one without a program.
        output
            .assert_status(2)
            .assert_says(says)
            .assert_says("--verifier");
    }
    let nine = ["true"; 9];
    scene
        .fetch(&nine, &[])
        .assert_status(2)
        .assert_says("more than 8 verifiers");
    assert_eq!(scene.registry.requests(&scene.digest), 0);
}

#[test]
fn verifier_without_a_slash_is_not_run_from_the_current_directory() {
    let scene = Scene::new();
    let script = scene.script("no-such-program", "exit 0");
    let dir = Path::new(&script).parent().expect("a directory");
    let args = ["fetch", "--verifier=no-such-program", &scene.reference];
    let mut command = scene.cache.command(args);
    let output = command.current_dir(dir).output().expect("the binary");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let args = [
        "fetch",
        "--tls-verify=false",
        "--verifier=./no-such-program",
    ];
    let mut command = scene.cache.command(args);
    let output = command.arg(&scene.reference).current_dir(dir).output();
    assert_eq!(output.expect("the binary").status.code(), Some(0));
}

#[test]
fn variable_holds_one_verifier_per_line() {
    let scene = Scene::new();
    let args = ["fetch", "--tls-verify=false", &scene.reference];
    for (verifiers, status) in [("true\n\ntrue\n", 0), ("true\nfalse\n", 18), ("", 0)] {
        let mut command = scene.cache.command(args);
        let output = command.env("SKOPEO_INDEX_VERIFIER", verifiers).output();
        let output = output.expect("the binary");
        assert_eq!(
            output.status.code(),
            Some(status),
            "{verifiers:?} {output:?}"
        );
    }
}

#[test]
fn dry_run_prints_verifiers_and_runs_none() {
    let scene = Scene::new();
    let marker = scene.cache.beside("asked");
    let script = scene.script("ask", &format!("touch {}", marker.display()));
    let command = format!("{script} 'a b' {{file}}");
    let output = scene.fetch(&[&command], &["--dry-run"]);
    output.assert_status(0);
    let expected = format!("\tverifier: {script} 'a b' '{{file}}'\n");
    assert!(output.stdout.ends_with(&expected), "{output:?}");
    let output = scene.fetch(&[&command], &["--dry-run", "--format=json"]);
    let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        json["verifiers"],
        serde_json::json!([[script, "a b", "{file}"]])
    );
    assert!(!marker.exists());
}
