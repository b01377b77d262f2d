//! Precedence of options, variables and defaults.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use test_support::program::harness::{Cache, RunOutput};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// `fetch --dry-run` with environment variables `SKOPEO_INDEX_…`.
fn dry_run(args: &[&str], vars: &[(&str, &str)]) -> RunOutput {
    let mut command = Cache::new().command(["fetch", "--dry-run"]);
    command.args(args);
    for (name, value) in vars {
        command.env(format!("SKOPEO_INDEX_{name}"), value);
    }
    RunOutput::from(command.output().expect("the binary"))
}

#[test]
fn default_cache_follows_xdg_base_directories() {
    let verify = |vars: &[(&str, &str)]| {
        let mut command = Cache::new().command(["verify"]);
        command.env_remove("SKOPEO_INDEX_CACHE");
        command.env_remove("XDG_CACHE_HOME").env_remove("HOME");
        command.envs(vars.iter().copied());
        RunOutput::from(command.output().expect("the binary"))
    };
    let home = ("HOME", "/no/home");
    verify(&[home])
        .assert_status(13)
        .assert_says("no cache at /no/home/.cache/skopeo-index");
    verify(&[home, ("XDG_CACHE_HOME", "/no/cache")])
        .assert_says("no cache at /no/cache/skopeo-index");
    // A relative path is ignored (XDG Base Directory Specification).
    verify(&[home, ("XDG_CACHE_HOME", "cache")]).assert_says("at /no/home/.cache/skopeo-index");
    verify(&[]).assert_status(2).assert_says("--cache DIR");
}

#[test]
fn storage_location_missing_fails_before_skopeo_runs() {
    let cache = Cache::new();
    let fetch = |location: &str| {
        let reference = format!("containers-storage:[overlay@{location}]localhost/app@{DIGEST}");
        cache.run(["fetch", "--skopeo=/no/skopeo", &reference])
    };
    fetch("/no/storage")
        .assert_status(13)
        .assert_says("no container storage");
    fetch("/dev/null")
        .assert_status(13)
        .assert_says("/dev/null: not a directory");
    fetch("/dev/null/storage")
        .assert_status(1)
        .assert_says("cannot stat /dev/null/storage");
}

#[test]
fn boolean_variable_accepts_synonyms_and_empty_means_unset() {
    let reference = format!("localhost/app@{DIGEST}");
    let offline = |value| dry_run(&[&reference], &[("OFFLINE", value)]);
    for (value, yes) in [("1", true), ("yes", true), ("on", true), ("TRUE", true)]
        .into_iter()
        .chain([("0", false), ("no", false), ("off", false), ("", false)])
    {
        let output = offline(value);
        output.assert_status(0);
        assert_eq!(
            output.stdout.contains("inspect"),
            !yes,
            "{value:?}: {output:?}"
        );
    }
    offline("maybe")
        .assert_status(2)
        .assert_says("expected true or false");
    for name in ["QUIET", "DEBUG"] {
        dry_run(&[&reference], &[(name, "")]).assert_status(0);
    }
    for (value, flag) in [
        ("yes", "--tls-verify=true"),
        ("0", "--tls-verify=false"),
        ("", ""),
    ] {
        let output = dry_run(&[&reference], &[("TLS_VERIFY", value)]);
        let command = format!("inspect --raw {flag} docker").replace("  ", " ");
        assert!(output.stdout.contains(&command), "{value:?}: {output:?}");
    }
}

#[test]
fn option_takes_precedence_over_environment() {
    let reference = format!("localhost/app@{DIGEST}");
    let location = |args: &[&str], vars: &[(&str, &str)]| {
        let output = dry_run(args, vars);
        output.assert_status(0);
        let last = output.stdout.trim_end().rsplit(' ').next();
        last.expect("a location").trim_matches('\'').to_owned()
    };
    let docker = format!("docker://{reference}");
    let storage = format!("containers-storage:[overlay@/x]{reference}");
    let (at_x, docker_var) = (("STORAGE_LOCATION", "/x"), ("TRANSPORT", "docker"));
    assert_eq!(location(&[&reference], &[at_x]), storage);
    assert_eq!(location(&[&docker], &[at_x]), docker);
    assert_eq!(
        location(&[&reference, "--transport=docker"], &[at_x]),
        docker
    );
    assert_eq!(location(&[&reference], &[at_x, docker_var]), docker);
    assert_eq!(
        location(&[&reference, "--storage-location=/x"], &[docker_var]),
        storage
    );
    dry_run(
        &[&reference, "--storage-location=/x", "--transport=docker"],
        &[],
    )
    .assert_status(2)
    .assert_says("--storage-location requires --transport containers-storage");

    // The harness sets SKOPEO_INDEX_CACHE in all of these.
    let store = Cache::new().beside("store");
    let store = store.to_str().expect("UTF-8");
    dry_run(&[&reference, "--store", store], &[]).assert_status(0);
    dry_run(&[&reference, "--cache", store], &[("STORE", store)]).assert_status(0);
    for (args, vars) in [
        (vec!["--store", store, "--cache", store], vec![]),
        (vec![], vec![("STORE", store)]),
    ] {
        let args = [args, vec![&reference]].concat();
        let output = dry_run(&args, &vars);
        output
            .assert_status(2)
            .assert_says("error: --cache and --store can't be combined");
        // clap would print that of the whole program.
        assert!(!output.stderr.contains("Usage:"), "{output:?}");
    }
}

#[test]
fn option_out_of_range_is_a_usage_error() {
    let reference = format!("localhost/app@{DIGEST}");
    for (option, why) in [
        ("--command-timeout=2days", "must be at most 1 day"),
        ("--command-timeout=0s", "must be greater than zero"),
        ("--retry-delay=500000years", "must be at most 1 day"),
        ("--jobs=1001", "must be between 1 and 1000"),
        ("--jobs=0", "must be between 1 and 1000"),
        ("--deadline=0s", "must be greater than zero"),
    ] {
        dry_run(&[option, &reference], &[])
            .assert_status(2)
            .assert_says(why);
    }
    let largest = [
        "--command-timeout=1day",
        "--retry-delay=24h",
        "--jobs=1000",
        &reference,
    ];
    dry_run(&largest, &[]).assert_status(0);
    dry_run(&["--deadline=500000years", &reference], &[]).assert_status(0);
}

#[test]
fn invalid_value_of_a_variable_names_the_variable() {
    let cache = Cache::new();
    let reference = format!("localhost/app@{DIGEST}");
    let not_utf8 = OsStr::from_bytes(b"\xff");
    for (variable, value, words) in [
        ("JOBS", OsStr::new("abc"), "\"abc\" in SKOPEO_INDEX_JOBS: "),
        ("JOBS", not_utf8, "invalid UTF-8 in SKOPEO_INDEX_JOBS"),
        (
            "VERIFIER",
            OsStr::new("no-such-program"),
            "error: SKOPEO_INDEX_VERIFIER: no-such-program: command not found",
        ),
        (
            "VERIFIER",
            OsStr::new("/etc/passwd"),
            "error: SKOPEO_INDEX_VERIFIER: /etc/passwd: permission denied",
        ),
        (
            "LABELS",
            OsStr::new("a=1,a=2"),
            "error: SKOPEO_INDEX_LABELS: the label \"a\" is given twice",
        ),
        (
            "CERT_DIR",
            OsStr::new("/dev/null"),
            "error: SKOPEO_INDEX_CERT_DIR: cannot read /dev/null: Not a directory",
        ),
    ] {
        let mut command =
            cache.command(["fetch", "--offline", "--audit-log=/dev/null", &reference]);
        command.env(format!("SKOPEO_INDEX_{variable}"), value);
        let output = RunOutput::from(command.output().expect("the binary"));
        output.assert_status(2).assert_says(words);
    }
    for (option, words) in [
        ("--verifier=no-such-program", "error: --verifier: no-such"),
        (
            "--cert-dir=/no/dir",
            "error: --cert-dir: cannot read /no/dir: No such",
        ),
    ] {
        let output = cache.fetch(&[option, &reference]);
        output.assert_status(2).assert_says(words);
    }
}
