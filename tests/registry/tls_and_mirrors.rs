//! `--tls-verify`, and mirrors of registries.conf(5).

use std::fs;

use serde_json::{Value, json};
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

#[test]
fn plain_http_fails_without_tls_verify_false() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache
        .run(["fetch", &reference])
        .assert_status(1)
        .assert_says("TLS failed");
    cache.assert_empty();
}

#[test]
fn item_tls_verify_true_overrides_the_option() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let file = cache.beside("items.json");
    let fetch = |image: serde_json::Value| {
        let items = serde_json::json!({ &digest: { "image": image } });
        fs::write(&file, items.to_string()).expect("a file");
        cache.fetch(&["--manifest", file.to_str().expect("UTF-8")])
    };
    let name = format!("{}/app", registry.address());
    let required = serde_json::json!({ "name": name, "tls-verify": true });
    fetch(required).assert_status(1).assert_says("TLS failed");
    let unset = serde_json::json!({ "name": name });
    fetch(unset).assert_status(0);
}

/// With a mirror, the exit status follows the registry's error, and the mirror is enough
/// for success.
#[test]
fn mirror_failure_reports_the_registry_and_mirror_hit_succeeds() {
    let (registry, mirror, cache) = (Registry::start(), Registry::start(), Cache::new());
    let conf = cache.beside(".config/containers");
    fs::create_dir_all(&conf).expect("a directory");
    let location = |table: &str, of: &Registry| {
        format!(
            "[[{table}]]\nlocation = \"{}\"\ninsecure = true\n",
            of.address()
        )
    };
    let text = location("registry", &registry) + &location("registry.mirror", &mirror);
    fs::write(conf.join("registries.conf"), text).expect("a file");
    let digest = registry.put(samples::empty());
    let fetch = || {
        let reference = format!("{}/app@{digest}", registry.address());
        let mut command = cache.command(["fetch", "--retry-times=0", &reference]);
        let home = command.env("HOME", cache.beside(""));
        RunOutput::from(home.output().expect("the binary"))
    };
    registry.behave(&digest, Behaviour::unauthorized());
    fetch().assert_status(12).assert_says("Mirrors also failed");
    mirror.put_as(&digest, samples::empty());
    fetch().assert_status(0);
}

/// The registry's text looks like the end of skopeo's note, and the mirror's is longer than
/// what is kept of a line.
#[test]
fn text_of_registry_and_mirror_decides_no_kind() {
    let note = "no]): a/x: reading manifest a in b: toomanyrequests: x";
    for (of_mirror, of_registry) in [("no", note), (note, "no"), (&"no ".repeat(20_000), "no")] {
        let (registry, mirror, cache) = (Registry::start(), Registry::start(), Cache::new());
        let conf = cache.beside(".config/containers");
        fs::create_dir_all(&conf).expect("a directory");
        let text = format!(
            "[[registry]]\nlocation = \"{}\"\ninsecure = true\n\
             [[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
            registry.address(),
            mirror.address()
        );
        fs::write(conf.join("registries.conf"), text).expect("a file");
        let digest = registry.put(samples::empty());
        for (at, text) in [(&registry, of_registry), (&mirror, of_mirror)] {
            let error = Behaviour::error("404 Not Found", "MANIFEST_UNKNOWN", text);
            at.behave(&digest, error);
        }
        let reference = format!("{}/app@{digest}", registry.address());
        let mut command = cache.command(["fetch", "--retry-times=0", &reference]);
        let home = command.env("HOME", cache.beside(""));
        RunOutput::from(home.output().expect("the binary"))
            .assert_status(13)
            .assert_says("Mirrors also failed");
    }
}

/// The mirror has the image below another path.
#[test]
fn audit_log_and_statement_name_the_mirror_that_answered() {
    let (registry, mirror, cache) = (Registry::start(), Registry::start(), Cache::new());
    let conf = cache.beside(".config/containers");
    fs::create_dir_all(&conf).expect("a directory");
    let of_mirror = format!("{}/mirrored", mirror.address());
    let text = format!(
        "[[registry]]\nlocation = \"{}\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"{of_mirror}\"\ninsecure = true\n",
        registry.address()
    );
    fs::write(conf.join("registries.conf"), text).expect("a file");
    let log = cache.beside("log").display().to_string();
    let answer_of_last = |digest: &str, method: &str, status: i32| {
        let reference = format!("{}/app@{digest}", registry.address());
        let method = format!("--method={method}");
        let mut command = cache.command(["fetch", "--retry-times=0", &reference, &method]);
        let command = command.args(["--audit-log", &log]);
        let home = command.env("HOME", cache.beside(""));
        RunOutput::from(home.output().expect("the binary")).assert_status(status);
        let log = fs::read_to_string(&log).expect("a log");
        let records = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let command = |record: Value| record.pointer("/entry/transition/command").cloned();
        let mut commands = records.filter_map(command).collect::<Vec<_>>();
        commands.retain(|command| command["argv"].to_string().contains("docker://"));
        commands.pop().expect("a command")["answer"].take()
    };
    let [first, second, third] = [0, 1, 2].map(|n| registry.put(samples::distinct(n)));
    let at_mirror = json!({
        "endpoint": format!("http://{}", mirror.address()), "repository": "mirrored/app",
    });
    let at_registry = json!({
        "endpoint": format!("http://{}", registry.address()), "repository": "app",
    });
    mirror.put_as(&first, samples::distinct(0));
    mirror.put_as(&second, samples::distinct(1));
    assert_eq!(answer_of_last(&first, "raw", 0), at_mirror);
    assert_eq!(answer_of_last(&second, "copy", 0), at_mirror);
    assert_eq!(
        answer_of_last(&third, "raw", 0),
        at_registry,
        "the mirror has it not"
    );
    let missing = format!("sha256:{}", "0".repeat(64));
    assert_eq!(answer_of_last(&missing, "raw", 13), at_registry);
    drop(registry);
    cache.run(["audit", "verify", &log]).assert_status(0);
    let export = [
        "audit",
        "export",
        &log,
        "--in-toto",
        "--verifier-id=https://example.com",
    ];
    let statements = cache.run(export.iter().chain(&["--all"])).stdout;
    let uris: Vec<_> = statements
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|mut statement| statement["predicate"]["resourceUri"].take())
        .collect();
    let uri = |digest: &str, url: &str| {
        let url = url.replace('/', "%2F");
        Value::from(format!("pkg:oci/app@{digest}?repository_url={url}"))
    };
    let of_mirror = format!("{of_mirror}/app");
    assert_eq!(
        uris[..2],
        [uri(&first, &of_mirror), uri(&second, &of_mirror)]
    );
    assert!(
        uris[2]
            .as_str()
            .is_some_and(|uri| !uri.contains("mirrored")),
        "{uris:?}"
    );
}

/// skopeo does not say that it is redirected: the record has the endpoint that it asked.
#[test]
fn audit_log_of_a_redirected_skopeo_names_the_endpoint_that_was_asked() {
    let (registry, other, cache) = (Registry::start(), Registry::start(), Cache::new());
    let digest = other.put(samples::empty());
    let to = format!("http://{}/v2/app/manifests/{digest}", other.address());
    registry.behave(&digest, Behaviour::redirect(&to));
    let log = cache.beside("log").display().to_string();
    let reference = format!("{}/app@{digest}", registry.address());
    let args = [&*reference, "--engine=skopeo", "--audit-log", &log];
    cache.fetch(&args).assert_status(0);
    let recorded = fs::read_to_string(&log).expect("a log");
    let endpoint = format!("\"endpoint\":\"http://{}\"", registry.address());
    assert!(recorded.contains(&endpoint), "{recorded}");
    assert!(!recorded.contains(other.address()), "{recorded}");
}

#[test]
fn audit_log_of_skopeo_that_is_not_answered_names_no_endpoint() {
    let cache = Cache::new();
    let digest = format!("sha256:{}", "0".repeat(64));
    let log = cache.beside("log").display().to_string();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = unused.local_addr().expect("an address");
    drop(unused);
    let reference = format!("{address}/app@{digest}");
    let args = ["--retry-times=0", "--engine=skopeo", "--audit-log", &log];
    cache
        .fetch(&[&[&*reference][..], &args].concat())
        .assert_status(14);
    let recorded = fs::read_to_string(&log).expect("a log");
    assert!(recorded.contains("docker://"), "{recorded}");
    assert!(!recorded.contains("endpoint"), "{recorded}");
    let shown = cache.run(["audit", "show", &log]).stdout;
    assert!(shown.contains("endpoint not known"), "{shown}");
}
