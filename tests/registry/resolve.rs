//! `resolve`.

use std::fs;

use test_support::loopback::{Behaviour, Registry, digest, samples};
use test_support::program::harness::{Cache, RunOutput};

#[test]
fn resolved_reference_and_item_can_be_fetched() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put(samples::oci_index(2));
    registry.put_as("v1", samples::oci_index(2));
    let tag = format!("{}/app:v1", registry.address());
    let resolved = cache.run(["resolve", "--tls-verify=false", &tag]);
    resolved.assert_status(0);
    cache.fetch(&[resolved.stdout.trim()]).assert_status(0);

    let items = cache.run(["resolve", "--tls-verify=false", "--format=osbuild", &tag]);
    let file = cache.beside("items.json");
    fs::write(&file, &items.stdout).expect("a file");
    // The item has `"tls-verify": false`.
    let output = cache.run(["fetch", "--manifest", file.to_str().expect("UTF-8")]);
    output.assert_status(0).assert_says("cached");

    let other = format!("{}/other:v1", registry.address());
    let both = [
        "resolve",
        "--tls-verify=false",
        "--format=osbuild",
        &tag,
        &other,
    ];
    let output = cache.run(both);
    output.assert_status(0).assert_says("have the same digest");
    assert_eq!(output.stdout.matches("\"name\"").count(), 1, "{output:?}");

    let json = cache.run(["resolve", "--tls-verify=false", "--format=json", &tag]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["reference"], resolved.stdout.trim(), "{json}");
    assert_eq!(json["platforms"].as_array().map(Vec::len), Some(2));
}

#[test]
fn resolve_failure_has_exit_status_and_hint() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.address();
    let resolve = |name: &str| cache.run(["resolve", "--tls-verify=false", name]);
    resolve(&format!("{at}/app:missing"))
        .assert_status(13)
        .assert_says("hint: check the image name and tag");
    resolve(&format!("{at}/app@{}", digest(b"")))
        .assert_status(2)
        .assert_says("the reference has a digest already");
    registry.behave("v1", Behaviour::status("503 Service Unavailable"));
    resolve(&format!("{at}/app:v1"))
        .assert_status(14)
        .assert_says("attempt 1: ")
        .assert_says("attempt 2: ");

    registry.put_as("v2", samples::docker_list(1));
    registry.behave_once("v2", [Behaviour::status("503 Service Unavailable")]);
    resolve(&format!("{at}/app:v2"))
        .assert_status(0)
        .assert_says("attempt 1: ");
}

#[test]
fn resolve_single_image_is_not_an_index() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("v1", samples::single_image());
    let tag = format!("{}/app:v1", registry.address());
    let output = cache.run(["resolve", "--tls-verify=false", &tag]);
    output
        .assert_status(11)
        .assert_says("the tag names an image for one platform");
    assert!(
        !output.stderr.contains("skopeo-index resolve"),
        "{output:?}"
    );
}

#[test]
fn list_of_images_is_resolved_in_its_order() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.address();
    let (mut list, mut expected, mut tagged) = (String::new(), String::new(), String::new());
    for n in 0..20 {
        registry.put_as(&format!("v{n}"), samples::distinct(n));
        let digest = digest(&samples::distinct(n));
        list += &format!("  {at}/app:v{n}\r\n\n# {at}/app:none\n");
        expected += &format!("{at}/app@{digest}\n");
        tagged += &format!("{at}/app:v{n}@{digest}\n");
    }
    let file = cache.beside("list");
    fs::write(&file, &list).expect("a file");
    let resolve = |input: &str, more: &[&str]| {
        let mut command = cache.command(["resolve", "--tls-verify=false", "--file", input]);
        command
            .stdin(fs::File::open(&file).expect("a file"))
            .args(more);
        RunOutput::from(command.output().expect("the binary"))
    };
    let path = file.to_str().expect("UTF-8");
    for (input, more, stdout) in [
        (path, vec![], &expected),
        ("-", vec!["--jobs=3"], &expected),
        (path, vec!["--keep-tag"], &tagged),
    ] {
        let output = resolve(input, &more);
        output.assert_status(0);
        assert_eq!(&output.stdout, stdout, "{input} {more:?}");
    }
    // Names of the command line come first, and what fails stops nothing else.
    registry.put_as("latest", samples::distinct(0));
    let first = format!("{at}/first");
    fs::write(&file, format!("{at}/app:missing\n{list}")).expect("a file");
    let output = resolve(path, &[&first, "--keep-tag"]);
    output
        .assert_status(13)
        .assert_says("/app:missing: not found");
    let digest = digest(&samples::distinct(0));
    assert_eq!(output.stdout, format!("{first}:latest@{digest}\n{tagged}"));

    fs::write(&file, "# nothing\n").expect("a file");
    resolve(path, &[])
        .assert_status(0)
        .assert_says("nothing to resolve");
    fs::write(&file, b"\xff").expect("a file");
    resolve(path, &[])
        .assert_status(2)
        .assert_says("list: not UTF-8");
    resolve(path, &["--keep-tag", "--format=osbuild"])
        .assert_status(2)
        .assert_says("names without tags");
}

#[test]
fn list_with_byte_order_mark_and_comments_after_images_is_read() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.address();
    registry.put_as("v1", samples::distinct(1));
    let file = cache.beside("list");
    let list = format!("\u{feff}{at}/app:v1 # the first\n\t# none\n#\n{at}/b:v1\t#x\n");
    fs::write(&file, list).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let output = cache.run(["resolve", "--tls-verify=false", "--file", file]);
    output.assert_status(0);
    let digest = digest(&samples::distinct(1));
    let expected = format!("{at}/app@{digest}\n{at}/b@{digest}\n");
    assert_eq!(output.stdout, expected);
}

#[test]
fn invalid_images_are_all_reported_before_a_registry_is_contacted() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let image = format!("{}/app:v1", registry.address());
    let file = cache.beside("list").display().to_string();
    fs::write(&file, format!("{image}\n\n{image}#x\nUPPER/x/y\n")).expect("a file");
    let args = ["resolve", "--tls-verify=false", "BAD NAME", &image];
    let output = cache.run([&args[..], &["--file", &file]].concat());
    output
        .assert_status(2)
        .assert_says("error: \"BAD NAME\": ")
        .assert_says(&format!("error: {file}: line 3: \"{image}#x\": "))
        .assert_says(&format!("error: {file}: line 4: \"UPPER/x/y\": "));
    assert_eq!((output.stdout.as_str(), registry.connections()), ("", 0));
}

#[test]
fn resolve_json_has_a_line_for_each_image_as_it_was_given() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("v1", samples::oci_index(2));
    registry.put_as("single", samples::single_image());
    let at = registry.address();
    let images = ["missing", "v1", "single"].map(|tag| format!("docker://{at}/app:{tag}"));
    let mut args = vec!["resolve", "--tls-verify=false", "--format=json"];
    args.extend(images.iter().map(String::as_str));
    let output = cache.run(args);
    output.assert_status(13);
    let lines = output.stdout.lines().map(serde_json::from_str);
    let lines: Vec<serde_json::Value> = lines.map(|it| it.expect("JSON")).collect();
    let found: Vec<_> = lines
        .iter()
        .map(|it| (&it["image"], &it["success"]))
        .collect();
    let [missing, v1, single] = images.map(serde_json::Value::from);
    let expected = [
        (&missing, &false.into()),
        (&v1, &true.into()),
        (&single, &false.into()),
    ];
    assert_eq!(found, expected);
    let kind = &lines[0]["cause"]["effect-failed"]["error"]["command"]["kind"];
    assert_eq!(kind, "not-found", "{output:?}");
    assert!(lines[2]["cause"]["not-an-index"].is_object(), "{output:?}");
}

#[test]
fn list_of_too_many_images_is_refused_before_any_is_resolved() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let line = format!("{}/app:v1\n", registry.address());
    let file = cache.beside("list").display().to_string();
    fs::write(&file, line.repeat(100_001)).expect("a file");
    let output = cache.run(["resolve", "--tls-verify=false", "--file", &file]);
    output
        .assert_status(2)
        .assert_says("more than 100000 images");
    assert_eq!(registry.requests("v1"), 0);
}
