//! Usage errors, and what is generated from the definition of the command line.

use test_support::program::harness::Cache;

#[test]
fn reference_without_digest_is_a_usage_error_naming_resolve() {
    Cache::new()
        .fetch(&["quay.io/app:latest"])
        .assert_status(2)
        .assert_says("skopeo-index resolve");
}

#[test]
fn invalid_references_are_all_reported() {
    let output = Cache::new().fetch(&["UPPER@sha256:1", "also bad"]);
    output
        .assert_status(2)
        .assert_says("UPPER")
        .assert_says("also bad");
}

#[test]
fn fetch_without_references_is_a_usage_error() {
    Cache::new()
        .run(["fetch"])
        .assert_status(2)
        .assert_says("nothing to fetch");
}

#[test]
fn completions_exist_for_every_shell() {
    let cache = Cache::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let completions = cache.run(["completions", shell]);
        completions.assert_status(0);
        assert!(completions.stdout.contains("storage-location"), "{shell}");
    }
}
