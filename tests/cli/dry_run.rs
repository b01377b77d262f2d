//! `fetch --dry-run`.

use test_support::program::harness::{Cache, RunOutput};

use crate::skopeo_path;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Runs `fetch --dry-run`, which succeeds and creates no cache.
#[track_caller]
fn dry_run(args: &[&str]) -> RunOutput {
    let cache = Cache::new();
    let output = cache.fetch(&[args, &["--dry-run"]].concat());
    output.assert_status(0);
    assert!(!cache.path().exists());
    output
}

fn reference() -> String {
    format!("localhost/app@{DIGEST}")
}

#[test]
fn dry_run_of_method_raw_prints_one_command() {
    let reference = reference();
    let skopeo = format!("{} --debug --command-timeout=125s", skopeo_path());
    let command = format!("{skopeo} inspect --raw --tls-verify=false docker://{reference}");
    assert_eq!(
        dry_run(&[&reference]).stdout,
        format!("missing\t{reference}\t{command}\n")
    );
}

#[test]
fn dry_run_of_method_copy_prints_three_quoted_commands() {
    let reference = reference();
    let skopeo = "'/opt/my skopeo'";
    let timeout = "--command-timeout=125s";
    let commands = [
        format!(
            "--debug {timeout} copy --multi-arch=index-only --src-tls-verify=false \
             docker://{reference} dir:STAGING"
        ),
        format!("{timeout} inspect --raw dir:STAGING"),
        format!("{timeout} manifest-digest ./STAGING/manifest.json"),
    ];
    let commands = commands.map(|command| format!("{skopeo} {command}"));
    assert_eq!(
        dry_run(&["--skopeo=/opt/my skopeo", "--method=copy", &reference]).stdout,
        format!("missing\t{reference}\t{}\n", commands.join(" && "))
    );
}

#[test]
fn dry_run_offline_prints_no_command() {
    let reference = reference();
    assert_eq!(
        dry_run(&["--offline", &reference]).stdout,
        format!("missing\t{reference}\n")
    );
}

#[test]
fn dry_run_notes_ignored_tag() {
    let tagged = format!("localhost/app:v1@{DIGEST}");
    dry_run(&[&tagged]).assert_says("the tag \"v1\" is ignored");
}

#[test]
fn dry_run_json_has_program_in_argv() {
    let json = dry_run(&["--format=json", &reference()]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["commands"][0][0], skopeo_path());
}

#[test]
fn dry_run_names_the_engine_and_the_reason_against_the_client() {
    let json = |args: &[&str]| -> serde_json::Value {
        let output = dry_run(&[args, &["--format=json", &reference()]].concat());
        serde_json::from_str(&output.stdout).expect("JSON")
    };
    let by_client = json(&["--engine=auto"]);
    assert_eq!(by_client["engine"]["name"], "registry");
    assert_eq!(by_client["commands"], serde_json::json!([]));
    let url = by_client["url"].as_str().expect("a URL");
    assert!(
        url.ends_with(&format!("://localhost/v2/app/manifests/{DIGEST}")),
        "{url}"
    );
    let by_skopeo = json(&["--engine=auto", "--method=copy"]);
    let engine = serde_json::json!({ "name": "skopeo", "reason": "--method copy" });
    assert_eq!(by_skopeo["engine"], engine);
}

#[test]
fn dry_run_with_creds_asks_for_no_password_and_prints_a_placeholder() {
    let reference = reference();
    let skopeo = format!("{} --debug --command-timeout=125s", skopeo_path());
    let command = format!(
        "{skopeo} inspect --raw --authfile=AUTHFILE --tls-verify=false docker://{reference}"
    );
    for creds in ["--creds=alice", "--creds=alice:secret"] {
        assert_eq!(
            dry_run(&[creds, &reference]).stdout,
            format!("missing\t{reference}\t{command}\n")
        );
        let by_client = dry_run(&[creds, "--engine=auto", &reference]);
        assert!(by_client.stdout.contains("\tGET "), "{by_client:#?}");
    }
}
