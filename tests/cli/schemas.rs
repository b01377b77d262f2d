//! `schema`, and all JSON of a table of real runs against the schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::sync::OnceLock;

use insta::assert_snapshot;
use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;
use test_support::loopback::{self, Behaviour, Registry, samples};
use test_support::program::harness::{Cache, RunOutput};
use test_support::schema;

/// JSON of real runs, by the name of its schema.
#[derive(Default)]
struct Outputs(BTreeMap<&'static str, Vec<Value>>);

impl Outputs {
    fn add(&mut self, schema: &'static str, text: &str) {
        let objects = schema::objects(text);
        self.0.entry(schema).or_default().extend(objects);
    }

    /// Runs a command, and keeps what it prints.
    #[track_caller]
    fn run(&mut self, cache: &Cache, status: i32, args: &[&str]) -> RunOutput {
        let schema = match args {
            ["fetch", ..] if args.contains(&"--dry-run") => "fetch-dry-run",
            ["fetch", ..] => "fetch",
            ["resolve", ..] => "resolve",
            ["inspect", ..] => "inspect",
            ["verify", ..] => "verify",
            ["list", ..] => "list",
            ["prune", ..] => "prune",
            ["audit", "verify", ..] => "audit-verify",
            ["audit", "show", ..] => "audit-show",
            ["audit", "export", ..] if args.contains(&"--dsse") => "envelope",
            ["audit", "export", ..] => "statement",
            _ => panic!("{args:?}"),
        };
        let more = match schema {
            "fetch" | "resolve" => &["--format=json", "--progress=json", "--tls-verify=false"][..],
            "fetch-dry-run" => &["--format=json", "--tls-verify=false"],
            "statement" | "envelope" => &[],
            _ => &["--format=json"],
        };
        let mut command = cache.command(args.iter().chain(more));
        command.env("SKOPEO_INDEX_ENGINE", "skopeo");
        let output = RunOutput::from(command.output().expect("the binary"));
        output.assert_status(status);
        self.add(schema, &output.stdout);
        self.add("progress", &output.stderr);
        output
    }

    fn add_fetches(&mut self, cache: &Cache, log: &str) {
        let registry = Registry::start();
        let of = |digest: &str| format!("{}/app@{digest}", registry.address());
        let [good, large, other] = [
            samples::oci_index(2),
            samples::docker_list(2),
            samples::distinct(1),
        ]
        .map(|index| registry.put(index));
        let image = of(&registry.put(samples::single_image()));
        let missing = loopback::digest(b"missing");
        let storage = "containers-storage:[overlay@/no/such/storage]localhost/app";
        let storage = format!("{storage}@{missing}");
        let wrong = of(&loopback::digest(b"other bytes"));
        registry.put_as(&loopback::digest(b"other bytes"), samples::single_image());
        registry.behave(
            &loopback::digest(b"503"),
            Behaviour::error("503 Service Unavailable", "UNAVAILABLE", "later"),
        );
        registry.behave(&loopback::digest(b"silence"), Behaviour::Silence);
        let mut fetch = |status, args: &[&str], references: &[&str]| {
            let log = ["--audit-log", log];
            let args = [&["fetch"], &log[..], args, references].concat();
            self.run(cache, status, &args);
        };
        let by_client = ["--engine=registry"];
        fetch(11, &[], &[&of(&good), &image, &storage, &wrong]);
        fetch(0, &["--label=job=7", "--label=team=a b"], &[&of(&good)]);
        fetch(13, &by_client, &[&of(&large), &of(&missing)]);
        fetch(0, &["--engine=auto", "--debug"], &[&of(&other)]);
        let tagged = format!("{}/app:v1@{good}", registry.address());
        fs::write(cache.object(&good), "x").expect("the object");
        fetch(15, &["--offline"], &[&tagged]);
        fetch(13, &["--offline"], &[&of(&good), &of(&large)]);
        fs::write(cache.object(&large), "x").expect("the object");
        fetch(0, &["--method=copy"], &[&of(&large), &of(&good)]);
        fetch(14, &["--retry-times=1"], &[&of(&loopback::digest(b"503"))]);
        let silent = of(&loopback::digest(b"silence"));
        fetch(124, &["--deadline=1s"], &[&silent]);
        let approve = ["--verifier=true", "--verifier=sh -c 'echo {digest}' {file}"];
        let verified = registry.put(samples::distinct(2));
        fetch(0, &approve, &[&of(&verified)]);
        fetch(
            18,
            &["--verifier=sh -c 'echo no; exit 7'"],
            &[&of(&verified)],
        );
        fetch(18, &["--verifier=sh -c 'kill -9 $$'"], &[&of(&verified)]);
        self.run(cache, 13, &["fetch", "--offline", &of(&missing)]);
        self.run(cache, 0, &["prune", "--older-than=0s"]);

        fs::write(cache.object(&large), "x").expect("the object");
        let image = samples::single_image();
        let single = Digest::of(&image).to_string();
        fs::write(cache.object(&single), image).expect("the object");
        let references = [of(&good), of(&large), of(&missing), of(&single)];
        for engine in ["--engine=registry", "--engine=skopeo"] {
            let args = ["fetch", "--dry-run", engine];
            let references = references.each_ref().map(String::as_str);
            self.run(cache, 0, &[&args[..], &references].concat());
        }
        let args = ["fetch", "--dry-run", "--engine=auto", "--debug"];
        self.run(cache, 0, &[&args[..], &[&references[2]]].concat());
        let verifier = "--verifier=cosign verify {reference}";
        self.run(cache, 0, &["fetch", "--dry-run", verifier, &storage]);

        self.run(cache, 0, &["list"]);
        self.run(cache, 0, &["prune", "--older-than=0s", "--yes"]);
    }

    fn add_resolved(&mut self, cache: &Cache) {
        let registry = Registry::start();
        registry.put_as("v1", samples::docker_list(2));
        registry.put_as("v2", samples::oci_index(2));
        let of = |tag: &str| format!("{}/app:{tag}", registry.address());
        self.run(cache, 0, &["resolve", &of("v1"), &of("v2")]);
        registry.put_as("single", samples::single_image());
        let failed = [of("missing"), of("single"), of("v1")];
        self.run(cache, 13, &["resolve", &failed[0], &failed[1], &failed[2]]);
        // A storage gives an index by a tag only where its images were put in by hand.
        let (index, skopeo) = (cache.beside("index"), cache.beside("skopeo"));
        fs::write(&index, samples::oci_index(1)).expect("a file");
        let script = format!("#!/bin/sh\ncat {}\n", index.display());
        fs::write(&skopeo, script).expect("a script");
        fs::set_permissions(&skopeo, Permissions::from_mode(0o755)).expect("a mode");
        let skopeo = format!("--skopeo={}", skopeo.display());
        let location = cache.path().display().to_string();
        let in_storage = format!("containers-storage:[overlay@{location}]localhost/app:v1");
        self.run(cache, 0, &["resolve", &skopeo, &in_storage]);
        let mut items = |args: &[&str]| {
            let args = ["resolve", "--format=osbuild"].iter().chain(args);
            let output = cache.run(args);
            output.assert_status(0);
            let items = serde_json::from_str(&output.stdout).expect("JSON");
            self.0.entry("resolve-osbuild").or_default().push(items);
        };
        items(&["--tls-verify=false", &of("v1"), &of("v2")]);
        items(&["--tls-verify", &skopeo, &of("v1")]);
        items(&[&skopeo, &of("v1")]);
        items(&[&skopeo, &in_storage]);
    }

    fn add_objects(&mut self) {
        let cache = Cache::new();
        fs::create_dir(cache.path()).expect("a directory");
        let put = |name: &[u8], content: &[u8]| {
            let digest = loopback::digest(name);
            fs::write(cache.object(&digest), content).expect("an object");
            digest
        };
        let mut list: Value = serde_json::from_slice(&samples::docker_list(2)).expect("JSON");
        list["manifests"][0]["platform"]["os.version"] = "10.0".into();
        list["manifests"][1]["platform"] = Value::Null;
        let documents = [
            samples::oci_index(2),
            samples::with_artifact_type(),
            list.to_string().into_bytes(),
        ];
        let digests = documents.map(|document| put(&document, &document));
        for digest in &digests {
            self.run(&cache, 0, &["inspect", digest]);
        }
        let platform = "--platform=linux/amd64";
        self.run(&cache, 0, &["inspect", &digests[0], platform]);
        let image = samples::single_image();
        let image = put(&image, &image);
        self.run(&cache, 11, &["inspect", &image]);
        let large = cache.beside("large").display().to_string();
        fs::write(&large, samples::of_size((4 << 20) + 1)).expect("a file");
        self.run(&cache, 11, &["inspect", &large]);
        put(b"corrupt", b"x");
        let stale = cache.path().join(".skopeo-index/staging-000001");
        fs::create_dir_all(&stale).expect("a directory");
        fs::set_permissions(
            cache.path().join(".skopeo-index"),
            Permissions::from_mode(0o700),
        )
        .expect("a mode");
        self.run(&cache, 15, &["verify", &loopback::digest(b"corrupt")]);
        self.run(&cache, 0, &["list"]);
        let quarantine = cache.path().join(".skopeo-index/quarantine");
        fs::write(&quarantine, "").expect("a file");
        self.run(&cache, 15, &["verify", "--quarantine"]);
        fs::remove_file(&quarantine).expect("removed");
        self.run(&cache, 15, &["verify", "--quarantine"]);
        self.run(&cache, 13, &["verify", &loopback::digest(b"missing")]);
        self.add_unreadable(&cache, &digests[0]);
    }

    /// As an unprivileged user if the tests run as root, which can read everything.
    fn add_unreadable(&mut self, cache: &Cache, digest: &str) {
        let binary = cache.beside("skopeo-index");
        fs::copy(env!("CARGO_BIN_EXE_skopeo-index"), &binary).expect("a copy");
        for (path, mode) in [
            (cache.beside(""), 0o755),
            (cache.object(digest), 0),
            (cache.path().join(".skopeo-index"), 0),
        ] {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
        }
        for (status, schema) in [(11, "verify"), (0, "list")] {
            let mut command = std::process::Command::new(&binary);
            command.args([schema, "--format=json", "--cache"]);
            command.arg(cache.path());
            if rustix::process::getuid().is_root() {
                command.uid(65534).gid(65534);
            }
            let output = RunOutput::from(command.output().expect("the binary"));
            output.assert_status(status);
            self.add(schema, &output.stdout);
        }
    }

    fn add_audit(&mut self, cache: &Cache, log: &str) {
        let save = |name: &str, args: &[&str]| {
            let output = cache.run(["audit"].iter().chain(args));
            output.assert_status(0);
            let file = cache.beside(name);
            fs::write(&file, output.stdout).expect("a file");
            file.display().to_string()
        };
        let text = fs::read_to_string(log).expect("a log");
        self.add("record", &text);
        self.run(cache, 0, &["audit", "show", log]);
        let secret = cache.beside("secret").display().to_string();
        let key = save("key", &["keygen", &secret, "--name", "example.com/a"]);
        let old = save("old", &["checkpoint", log]);
        let signed = save("signed", &["checkpoint", log, "--signing-key", &secret]);
        let export = ["audit", "export", log, "--in-toto", "--all"];
        let export = [&export[..], &["--verifier-id", "https://example.com/a"]].concat();
        self.run(cache, 0, &export);
        let pem = cache.beside("pem").display().to_string();
        let curve = "ec_paramgen_curve:P-256";
        let generate = ["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out"];
        loopback::run("openssl", &[&generate[..], &[&pem]].concat());
        for secret in [&secret, &pem] {
            let sign = ["--dsse", "--signing-key", secret];
            self.run(cache, 0, &[&export[..], &sign].concat());
        }

        let cache_dir = cache.path().display().to_string();
        let mut verify = |status, args: &[&str]| {
            let verify = ["audit", "verify"].iter().chain(args);
            self.run(cache, status, &verify.copied().collect::<Vec<_>>());
        };
        verify(0, &[log]);
        verify(15, &[log, "--cache", &cache_dir]);
        verify(0, &[log, "--checkpoint", &old]);
        verify(0, &[log, "--checkpoint", &signed, "--key", &key]);
        let record = cache.beside("a-record").display().to_string();
        fs::write(&record, text.lines().nth(1).expect("a record")).expect("a file");
        let proof = save("proof", &["prove", log, "--seq", "1"]);
        let proved = ["--proof", &proof, "--checkpoint", &old];
        verify(0, &[&proved[..], &["--record", &record]].concat());
        fs::write(&record, text.lines().nth(2).expect("a record")).expect("a file");
        verify(16, &[&proved[..], &["--record", &record]].concat());
        let proof = save("proof", &["prove", log, "--from", &old]);
        verify(
            0,
            &["--proof", &proof, "--from", &old, "--checkpoint", &signed],
        );
        let changed = cache.beside("changed").display().to_string();
        for (status, content) in [
            (16, text.replacen("\"seq\":2", "\"seq\":3", 1)),
            (17, text[..text.len() - 7].to_owned()),
            (17, String::new()),
        ] {
            fs::write(&changed, content).expect("a file");
            verify(status, &[&changed]);
        }
        save("rotated", &["rotate", log]);
        let kept = format!("{log}.1");
        verify(16, &[log, &kept]);
        self.run(cache, 0, &["audit", "show", &kept, log]);
    }
}

fn outputs() -> &'static BTreeMap<&'static str, Vec<Value>> {
    static OUTPUTS: OnceLock<Outputs> = OnceLock::new();
    let run = || {
        let (mut outputs, cache) = (Outputs::default(), Cache::new());
        let log = cache.beside("log").display().to_string();
        outputs.add_fetches(&cache, &log);
        outputs.add_audit(&cache, &log);
        outputs.add_resolved(&cache);
        outputs.add_objects();
        outputs
    };
    &OUTPUTS.get_or_init(run).0
}

/// A schema as `schema` prints it.
fn printed(name: &str) -> Value {
    let output = Cache::new().run(["schema", name]);
    output.assert_status(0);
    serde_json::from_str(&output.stdout).expect("JSON")
}

#[test]
fn json_of_every_command_is_valid_by_its_printed_schema() {
    let outputs = outputs();
    let names: Vec<_> = outputs.keys().copied().collect();
    assert_eq!(names, schema::names());
    for (name, lines) in outputs {
        assert!(lines.len() > 1, "{name}");
        let invalid = schema::invalid(&[printed(name)], lines);
        assert!(invalid.is_empty(), "{name}: {invalid:#?}");
    }
}

#[test]
fn schema_refuses_single_changes_of_json_but_for_the_reviewed_ones() {
    let changes = outputs().iter().map(|(name, lines)| {
        let mut changes = schema::valid_changes(name, lines);
        // Which of them there are depends on the machine.
        let of_machine =
            ["host", "loginUid", "machine", "user"].map(|key| format!("/invocation/{key} "));
        changes.retain(|change| !of_machine.iter().any(|member| change.contains(member)));
        format!("{name}\n  {}", changes.join("\n  "))
    });
    assert_snapshot!("valid_changes", changes.collect::<Vec<_>>().join("\n"));
}

#[test]
fn schema_allows_nothing_that_no_run_prints() {
    let is_exempt = |part: &String| {
        // Core's tests compare records, kinds and codes with the code's own lists.
        ["/kind/enum/", "/code/enum/"].iter().any(|list| part.contains(list))
            // An object that is removed while it is listed.
            || part == "properties/status/enum/4"
    };
    for (name, lines) in outputs().iter().filter(|(name, _)| **name != "record") {
        let mut unused = schema::unused(name, lines);
        unused.retain(|part| !is_exempt(part));
        assert!(unused.is_empty(), "{name}: {unused:#?}");
    }
}

#[test]
fn schema_without_name_lists_every_schema() {
    let output = Cache::new().run(["schema"]);
    output.assert_status(0);
    let lines = output.stdout.lines().skip(1);
    let listed: BTreeSet<_> = lines
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed.into_iter().collect::<Vec<_>>(), schema::names());
    Cache::new().run(["schema", "nothing"]).assert_status(2);
}

#[test]
fn schemas_have_ids_by_name_and_version_and_share_definitions() {
    let mut definitions = BTreeMap::new();
    for name in schema::names() {
        let schema = schema::file(&name);
        let dialect = "https://json-schema.org/draft/2020-12/schema";
        assert_eq!(schema["$schema"], dialect);
        let id = format!("pkg:cargo/skopeo-index?schema={name}&version=1");
        assert_eq!(schema["$id"], id);
        let of_schema = schema["$defs"].as_object().into_iter().flatten();
        for (definition, content) in of_schema {
            let first = definitions
                .entry(definition.clone())
                .or_insert_with(|| json!(content));
            assert_eq!(first, content, "{name}: {definition}");
        }
    }
}
