//! Variables of options: an empty one means unset, an error names the one at fault.

use test_support::program::harness::{Cache, RunOutput};

/// Every variable, the subcommand that reads it, and a bad value if there is one.
const VARIABLES: [(&str, &str, Option<&str>); 25] = [
    ("AUDIT_LOG", "fetch", None),
    ("AUTHFILE", "fetch", None),
    ("CACHE", "fetch", None),
    ("CERT_DIR", "fetch", None),
    ("CHECKPOINT", "fetch", None),
    ("COMMAND_TIMEOUT", "fetch", Some("soon")),
    ("DEADLINE", "fetch", Some("0s")),
    ("DEBUG", "fetch", Some("maybe")),
    ("ENGINE", "fetch", Some("docker")),
    ("JOBS", "fetch", Some("0")),
    ("METHOD", "fetch", Some("x\u{1b}\ny")),
    ("OFFLINE", "fetch", Some("maybe")),
    ("ORIGIN", "fetch", Some("a b")),
    ("LABELS", "fetch", Some("a b")),
    ("PROGRESS", "fetch", Some("loud")),
    ("QUIET", "fetch", Some("maybe")),
    ("RETRY_DELAY", "fetch", Some("soon")),
    ("RETRY_TIMES", "fetch", Some("101")),
    ("SIGNING_KEY", "fetch", None),
    ("SKOPEO", "fetch", None),
    ("STORAGE_LOCATION", "fetch", Some("relative")),
    ("STORE", "fetch", None),
    ("TRANSPORT", "fetch", Some("oci")),
    ("VERIFIER", "fetch", Some("cosign {image}")),
    ("VERIFIER_TIMEOUT", "fetch", Some("0s")),
];

fn fetch(args: &[&str], name: &str, value: &str) -> RunOutput {
    let cache = Cache::new();
    let mut command = cache.command(["fetch", "--dry-run"]);
    command.args(args);
    if name == "STORE" && !value.is_empty() {
        command.env_remove("SKOPEO_INDEX_CACHE");
    }
    command.env("HOME", cache.beside("home"));
    command.env(format!("SKOPEO_INDEX_{name}"), value);
    command.output().expect("the binary").into()
}

fn reference() -> String {
    format!("localhost/app@{}", test_support::loopback::digest(b""))
}

#[test]
fn empty_variable_means_unset() {
    let all = VARIABLES
        .iter()
        .map(|(name, ..)| *name)
        .chain(["TLS_VERIFY"]);
    for name in all {
        let output = fetch(&[&reference()], name, "");
        output.assert_status(0);
        let planned = match name {
            "ENGINE" => "\tGET https://localhost/v2/app/manifests/",
            _ => " --command-timeout=125s inspect --raw docker:",
        };
        assert!(output.stdout.contains(planned), "{name}: {output:?}");
        // The help names it all the same.
        let help = fetch(&["--help"], name, "");
        assert!(
            help.stdout
                .contains(&format!("[env: SKOPEO_INDEX_{name}=]")),
            "{name}"
        );
    }
}

#[test]
fn list_of_variables_is_complete() {
    let help = Cache::new().run(["fetch", "--help"]).stdout;
    let named = help.matches("[env: SKOPEO_INDEX_").count();
    assert_eq!(named, VARIABLES.len() + 1, "{help}");
}

#[test]
fn error_of_a_variable_names_it_in_printable_text() {
    for (name, _, bad) in VARIABLES {
        let Some(bad) = bad else { continue };
        let output = fetch(&[&reference()], name, bad);
        output
            .assert_status(2)
            .assert_says(&format!(" in SKOPEO_INDEX_{name}: "));
        let is_printable = |c: char| c == '\n' || !c.is_control();
        assert!(output.stderr.chars().all(is_printable), "{output:?}");
    }
    // An option that was typed takes precedence, and is named.
    fetch(&["--jobs=x", &reference()], "JOBS", "0")
        .assert_status(2)
        .assert_says("invalid value 'x' for '--jobs <N>': must be between 1 and 1000");
    fetch(&["--jobs=2", &reference()], "JOBS", "0").assert_status(0);
}

#[test]
fn variable_that_needs_an_audit_log_is_named_where_there_is_none() {
    for (name, value) in [
        ("CHECKPOINT", "x"),
        ("LABELS", "job=1"),
        ("ORIGIN", "a.example/b"),
    ] {
        fetch(&[&reference()], name, value)
            .assert_status(2)
            .assert_says(&format!(
                "error: SKOPEO_INDEX_{name} needs --audit-log FILE"
            ));
    }
    fetch(&["--label=a=b", &reference()], "LABELS", "job=1")
        .assert_status(2)
        .assert_says("--audit-log <FILE>");
}
