//! Options, the environment, and which of them is meant.

use crate::harness::Cache;
use crate::harness::Ended;
use crate::harness::ended;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// `fetch --dry-run` of a reference, with some variables: what it would run.
fn would_run(args: &[&str], vars: &[(&str, &str)]) -> Ended {
    let mut command = Cache::new().command(["fetch", "--dry-run"]);
    command.args(args);
    for (name, value) in vars {
        command.env(format!("SKOPEO_INDEX_{name}"), value);
    }
    ended(command.output().expect("the binary"))
}

#[test]
fn without_a_word_the_cache_is_the_users() {
    let looked = |vars: &[(&str, &str)]| {
        let mut command = Cache::new().command(["verify"]);
        command.env_remove("SKOPEO_INDEX_CACHE");
        command.env_remove("XDG_CACHE_HOME").env_remove("HOME");
        command.envs(vars.iter().copied());
        ended(command.output().expect("the binary"))
    };
    let home = ("HOME", "/no/home");
    looked(&[home])
        .assert_status(13)
        .assert_says("no cache at /no/home/.cache/skopeo-index");
    looked(&[home, ("XDG_CACHE_HOME", "/no/cache")])
        .assert_says("no cache at /no/cache/skopeo-index");
    // A relative one doesn't count (XDG Base Directory Specification).
    looked(&[home, ("XDG_CACHE_HOME", "cache")]).assert_says("at /no/home/.cache/skopeo-index");
    looked(&[]).assert_status(2).assert_says("--cache DIR");
}

#[test]
fn a_storage_that_is_none_is_told_before_skopeo_is_asked() {
    let cache = Cache::new();
    let asked = |location: &str| {
        let reference = format!("containers-storage:[overlay@{location}]localhost/app@{DIGEST}");
        cache.run(["fetch", "--skopeo=/no/skopeo", &reference])
    };
    asked("/no/storage")
        .assert_status(13)
        .assert_says("no container storage");
    asked("/dev/null")
        .assert_status(13)
        .assert_says("it is not a directory");
    asked("/dev/null/storage")
        .assert_status(1)
        .assert_says("cannot look at");
}

#[test]
fn a_variable_says_yes_and_no_in_many_ways_and_nothing_if_empty() {
    let reference = format!("localhost/app@{DIGEST}");
    let offline = |value| would_run(&[&reference], &[("OFFLINE", value)]);
    for (value, yes) in [("1", true), ("yes", true), ("on", true), ("TRUE", true)]
        .into_iter()
        .chain([("0", false), ("no", false), ("off", false), ("", false)])
    {
        let ran = offline(value);
        ran.assert_status(0);
        assert_eq!(ran.stdout.contains("inspect"), !yes, "{value:?}: {ran:?}");
    }
    offline("maybe")
        .assert_status(2)
        .assert_says("neither yes nor no");
    for name in ["QUIET", "DEBUG"] {
        would_run(&[&reference], &[(name, "")]).assert_status(0);
    }
    for (value, flag) in [
        ("yes", "--tls-verify=true"),
        ("0", "--tls-verify=false"),
        ("", ""),
    ] {
        let ran = would_run(&[&reference], &[("TLS_VERIFY", value)]);
        let command = format!("inspect --raw {flag} docker").replace("  ", " ");
        assert!(ran.stdout.contains(&command), "{value:?}: {ran:?}");
    }
}

#[test]
fn an_option_outweighs_the_environment() {
    let reference = format!("localhost/app@{DIGEST}");
    let source = |args: &[&str], vars: &[(&str, &str)]| {
        let ran = would_run(args, vars);
        ran.assert_status(0);
        let last = ran.stdout.trim_end().rsplit(' ').next();
        last.expect("a source").trim_matches('\'').to_owned()
    };
    let docker = format!("docker://{reference}");
    let storage = format!("containers-storage:[overlay@/x]{reference}");
    let (at_x, docker_var) = (("STORAGE_LOCATION", "/x"), ("TRANSPORT", "docker"));
    assert_eq!(source(&[&reference], &[at_x]), storage);
    assert_eq!(source(&[&docker], &[at_x]), docker);
    assert_eq!(source(&[&reference, "--transport=docker"], &[at_x]), docker);
    assert_eq!(source(&[&reference], &[at_x, docker_var]), docker);
    assert_eq!(
        source(&[&reference, "--storage-location=/x"], &[docker_var]),
        storage
    );
    would_run(
        &[&reference, "--storage-location=/x", "--transport=docker"],
        &[],
    )
    .assert_status(2)
    .assert_says("goes with the transport containers-storage");

    // A cache is in the environment of all these.
    let store = Cache::new().beside("store");
    let store = store.to_str().expect("UTF-8");
    would_run(&[&reference, "--store", store], &[]).assert_status(0);
    would_run(&[&reference, "--cache", store], &[("STORE", store)]).assert_status(0);
    for (args, vars) in [
        (vec!["--store", store, "--cache", store], vec![]),
        (vec![], vec![("STORE", store)]),
    ] {
        let args = [args, vec![&reference]].concat();
        would_run(&args, &vars)
            .assert_status(2)
            .assert_says("only one can be meant");
    }
}

#[test]
fn what_is_mistyped_by_far_is_refused() {
    let reference = format!("localhost/app@{DIGEST}");
    for (option, why) in [
        ("--command-timeout=2days", "a day at most"),
        ("--command-timeout=0s", "more than nothing"),
        ("--retry-delay=500000years", "a day at most"),
        ("--jobs=1001", "from 1 to 1000"),
        ("--jobs=0", "from 1 to 1000"),
        ("--deadline=0s", "more than nothing"),
    ] {
        would_run(&[option, &reference], &[])
            .assert_status(2)
            .assert_says(why);
    }
    let most = [
        "--command-timeout=1day",
        "--retry-delay=24h",
        "--jobs=1000",
        &reference,
    ];
    would_run(&most, &[]).assert_status(0);
    would_run(&["--deadline=500000years", &reference], &[]).assert_status(0);
}
