//! Memory follows the size of a file that the command line names.

use std::fs::{self, File};

use test_support::program::harness::{Cache, RunOutput, run_with_peak_memory};

/// More memory than a run without such a file takes.
const BASE: usize = 64 << 20;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Runs with `FILE` among the arguments, and checks the memory that it took.
#[track_caller]
fn run(cache: &Cache, args: &[&str], limit: usize) -> RunOutput {
    let (output, peak) = run_with_peak_memory(&cache.command(args));
    assert!(
        peak <= limit,
        "{peak} bytes, the limit is {limit}: {args:?}"
    );
    output
}

#[test]
fn manifest_takes_a_small_multiple_of_its_size() {
    let cache = Cache::new();
    let file = cache.beside("manifest.json");
    let file = file.to_str().expect("UTF-8");
    let large_item = format!(
        r#"{{"{DIGEST}":{{"image":{{"name":"localhost/a","x":[{}]}}}}}}"#,
        vec![r#"{"a":{}}"#; 900_000].join(",")
    );
    let invalid: Vec<_> = (0..100_000).map(|n| format!("\"{n}\":{{}}")).collect();
    for (manifest, message) in [
        (large_item, "unknown key \"x\""),
        (
            format!("{{{}}}", invalid.join(",")),
            "99900 more are invalid",
        ),
        (
            format!("{{{},\"x\":1}}", invalid.join(",")),
            "more than 100000 items",
        ),
    ] {
        fs::write(file, &manifest).expect("a file");
        let limit = BASE + 4 * manifest.len();
        let output = run(&cache, &["fetch", "--offline", "--manifest", file], limit);
        output.assert_status(2).assert_says(message);
        assert!(
            output.stderr.len() < 32 << 10,
            "{} bytes",
            output.stderr.len()
        );
    }
}

#[test]
fn inspect_json_takes_a_small_multiple_of_the_size_of_an_index() {
    let cache = Cache::new();
    let file = cache.beside("index.json");
    let manifest = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{DIGEST}","size":1}}"#
    );
    let many = (4 << 20) / (manifest.len() + 1) - 1;
    let manifests = vec![manifest; many].join(",");
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{manifests}]}}"#);
    fs::write(&file, &index).expect("a file");
    let args = ["inspect", "--format=json", file.to_str().expect("UTF-8")];
    run(&cache, &args, BASE + 4 * index.len()).assert_status(0);
}

#[test]
fn file_larger_than_its_limit_is_rejected_without_reading_it_whole() {
    let cache = Cache::new();
    let file = cache.beside("sparse");
    File::create(&file)
        .expect("a file")
        .set_len(700 << 20)
        .expect("a sparse file");
    let file = file.to_str().expect("UTF-8");
    let proof = ["audit", "verify", "--proof", file, "--checkpoint", file];
    for (args, status, limit, message) in [
        (&proof[..], 2, BASE, "larger than 139264 bytes"),
        (
            &["audit", "verify", "LOG", "--checkpoint", file],
            2,
            BASE,
            "larger than 131072 bytes",
        ),
        (
            &["inspect", file],
            11,
            BASE,
            "not an image index: 734003200 bytes exceed the limit of 4194304 bytes",
        ),
        (
            &["fetch", "--manifest", file],
            2,
            BASE + (64 << 20),
            "larger than 67108864 bytes",
        ),
    ] {
        run(&cache, args, limit)
            .assert_status(status)
            .assert_says(message);
    }
}
