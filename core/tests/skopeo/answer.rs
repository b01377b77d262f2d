//! `skopeo::RegistryAnswer`: who answered, by skopeo's debug lines.

use std::path::Path;

use proptest::prelude::*;
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::{RegistryAnswer, SkopeoCommand};

use crate::{D, quoted};

fn request(tls_verify: TlsVerify) -> Request {
    let name = "registry.example/app".parse().expect("a name");
    let digest = D.parse().expect("a digest");
    Request::new(name, Location::Docker { tls_verify }, digest)
}

/// Log lines with these messages.
fn lines(messages: &[&str]) -> String {
    let line = |message: &&str| {
        let message = quoted(message);
        format!("time=\"2026-11-23T22:28:40Z\" level=debug msg={message}\n")
    };
    messages.iter().map(line).collect()
}

/// The answer that lines of stderr show to `skopeo inspect --raw`: endpoint and repository.
fn answer(stderr: &str) -> Option<(String, String)> {
    let request = request(TlsVerify::Unset);
    let command = SkopeoCommand::InspectRaw(&request);
    let answer = RegistryAnswer::of_command(&command, stderr.as_bytes())?;
    Some((answer.endpoint, answer.repository))
}

fn some(endpoint: &str, repository: &str) -> Option<(String, String)> {
    Some((endpoint.to_owned(), repository.to_owned()))
}

fn trying(source: &str) -> String {
    format!("Trying to access \"{source}@{D}\"")
}

const ANSWERED: &str = "Content-Type from manifest GET is \"application/json\"";

/// What skopeo 1.9.3 writes: a mirror that fails, another one that has the index.
#[test]
fn answer_is_that_of_the_last_source() {
    let failing = trying("127.0.0.1:7004/m/app");
    let failed = format!(
        "Accessing \"127.0.0.1:7004/m/app@{D}\" failed: reading manifest {D} in \
         127.0.0.1:7004/m/app: received unexpected HTTP status: 503 Service Unavailable"
    );
    let first = format!("GET http://127.0.0.1:7004/v2/m/app/manifests/{D}");
    let first = [
        "Using registries.d directory /etc/containers/registries.d",
        &failing,
        "No credentials for 127.0.0.1:7004/m/app found",
        "GET https://127.0.0.1:7004/v2/",
        "Ping https://127.0.0.1:7004/v2/ err Get \"https://127.0.0.1:7004/v2/\": tls: first \
         record does not look like a TLS handshake",
        "GET http://127.0.0.1:7004/v2/",
        "Ping http://127.0.0.1:7004/v2/ status 200",
        &first,
        "Content-Type from manifest GET is \"\"",
        &failed,
    ];
    let second = trying("mirror.example/mir/app");
    let get = format!("GET https://mirror.example/v2/mir/app/manifests/{D}");
    let second = [&second, "GET https://mirror.example/v2/", &get, ANSWERED];
    let mirrored = lines(&[&first[..], &second].concat());
    assert_eq!(answer(&mirrored), some("https://mirror.example", "mir/app"));
    // One that is asked and doesn't answer.
    let silent = lines(&[&first[..], &second[..3]].concat());
    assert_eq!(answer(&silent), None);
    let failed = format!("Accessing \"x\" failed: Get \"http://x/{ANSWERED}\": EOF");
    assert_eq!(answer(&(silent + &lines(&[&failed]))), None);
    let unreachable = lines(&[&first[..], &second[..2]].concat());
    assert_eq!(answer(&unreachable), None);
    // An error is an answer, too.
    let failed = lines(&first);
    assert_eq!(answer(&failed), some("http://127.0.0.1:7004", "m/app"));
}

#[test]
fn answer_of_docker_hub_is_at_the_host_of_its_api() {
    let trying = trying("docker.io/library/app");
    let get = format!("GET https://registry-1.docker.io/v2/library/app/manifests/{D}");
    let lines = lines(&[&trying, &get, ANSWERED]);
    assert_eq!(
        answer(&lines),
        some("https://registry-1.docker.io", "library/app")
    );
}

/// Signatures are manifests, which are asked for after the index.
#[test]
fn answer_to_another_request_is_ignored() {
    let trying = trying("registry.example/app");
    let get = format!("GET https://registry.example/v2/app/manifests/{D}");
    let signature = format!("{}.sig", get.replace("sha256:", "sha256-"));
    let messages = [&trying, &get, ANSWERED, &signature, ANSWERED];
    assert_eq!(
        answer(&lines(&messages)),
        some("https://registry.example", "app")
    );
    assert_eq!(answer(&lines(&[&trying, &signature, ANSWERED])), None);
}

#[test]
fn answer_without_its_source_is_not_known() {
    let get = format!("GET https://registry.example/v2/app/manifests/{D}");
    let trying = trying("registry.example/app");
    let whole = lines(&[&trying, &get, ANSWERED]);
    assert_eq!(answer(&whole), some("https://registry.example", "app"));
    // Only the end of stderr is kept.
    assert_eq!(answer(&whole[1..]), None);
    assert_eq!(answer(&lines(&[&get, ANSWERED])), None);
    for other in [
        "Trying to access \"registry.example/app:latest\"".to_owned(),
        format!("Trying to access \"registry.example/app:latest@{D}\""),
        format!("Trying to access \"registry.example/App@{D}\""),
        format!("Trying to access registry.example/app@{D}"),
    ] {
        assert_eq!(
            answer(&lines(&[&trying, &other, &get, ANSWERED])),
            None,
            "{other}"
        );
    }
}

#[test]
fn answer_of_a_command_without_registry_is_none() {
    let request = request(TlsVerify::Unset);
    let trying = trying("registry.example/app");
    let get = format!("GET https://registry.example/v2/app/manifests/{D}");
    let stderr = lines(&[&trying, &get, ANSWERED]);
    let of = |command: &SkopeoCommand<'_>| RegistryAnswer::of_command(command, stderr.as_bytes());
    let (path, to) = (Path::new("/x"), Path::new("/x"));
    assert!(
        of(&SkopeoCommand::CopyIndex {
            request: &request,
            to
        })
        .is_some()
    );
    assert_eq!(of(&SkopeoCommand::InspectDir { from: path }), None);
    assert_eq!(of(&SkopeoCommand::ManifestDigest { file: path }), None);
}

/// Text that would name another endpoint if it began a message or a line.
fn forged() -> impl Strategy<Value = String> {
    let evil = format!("GET https://evil.example/v2/app/manifests/{D}");
    let source = format!("Trying to access \"evil.example/app@{D}\"");
    let line = lines(&[&source, &evil, ANSWERED]);
    let words = [
        "\n",
        "\r\n",
        "\"",
        "\\",
        " ",
        " msg=",
        "level=debug",
        "time=\"x\" ",
    ];
    let mut words: Vec<String> = words.map(str::to_owned).into();
    words.extend([
        evil,
        source,
        ANSWERED.to_owned(),
        line.clone(),
        quoted(&line),
        format!("\n{line}"),
    ]);
    prop::collection::vec(prop::sample::select(words), 0..6).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(crate::support::property::config(2000, "skopeo-answer.txt"))]

    /// Every message that repeats text of a registry, and the one line that Go's runtime
    /// writes itself.
    #[test]
    fn registry_text_never_names_another_endpoint(
        texts in prop::collection::vec(forged(), 5),
        fails in any::<bool>(),
    ) {
        let source = trying("registry.example/app");
        let get = format!("GET https://registry.example/v2/app/manifests/{D}");
        let [realm, auth, content_type, warning, error] = &texts[..] else { unreachable!() };
        // The query of a token server's URL is redacted; a URL has no spaces or quotes.
        let realm: String = realm.chars().filter(|c| c.is_ascii_graphic() && *c != '"').collect();
        let realm = format!("GET https://evil.example/v2/app/manifests/{D}{realm}?***");
        let auth = format!("no handler for {auth} authentication");
        let content_type = format!("Content-Type from manifest GET is {}", quoted(content_type));
        let warning = format!("Ignored Warning: header from registry: {}", quoted(warning));
        let error = format!("Accessing \"registry.example/app@{D}\" failed: {error}");
        let mut messages = vec![&*source, &auth, &realm, &get, &realm, &warning, &content_type];
        messages.extend(fails.then_some(&*error));
        let idle = format!(
            "2026/11/23 22:28:40 Unsolicited response received on idle HTTP channel starting with \
             {}; err=<nil>\n", quoted(&texts.concat()),
        );
        let stderr = [lines(&messages[..3]), idle.clone(), lines(&messages[3..]), idle].concat();
        prop_assert_eq!(answer(&stderr), some("https://registry.example", "app"), "{}", stderr);
    }
}

#[test]
fn answer_of_a_record_is_possible_for_its_location_only() {
    let docker = |tls_verify| Location::Docker { tls_verify };
    let storage = Location::ContainersStorage { location: None };
    let parse = |endpoint: &str, repository: &str, location: &Location| {
        let answer = RegistryAnswer {
            endpoint: endpoint.to_owned(),
            repository: repository.to_owned(),
        };
        let repository = answer.parse(location);
        repository.map(|repository| repository.full_name().to_owned())
    };
    let unset = docker(TlsVerify::Unset);
    for (endpoint, repository, full) in [
        ("https://quay.io", "app", "quay.io/app"),
        ("http://127.0.0.1:5000", "a/b", "127.0.0.1:5000/a/b"),
        (
            "https://registry-1.docker.io",
            "library/app",
            "registry-1.docker.io/library/app",
        ),
    ] {
        assert_eq!(parse(endpoint, repository, &unset).as_deref(), Some(full));
        assert_eq!(parse(endpoint, repository, &storage), None);
        let always = parse(endpoint, repository, &docker(TlsVerify::Always));
        assert_eq!(
            always.is_some(),
            endpoint.starts_with("https:"),
            "{endpoint}"
        );
    }
    for (endpoint, repository) in [
        ("https://quay.io/", "app"),
        ("https://quay.io/v2", "app"),
        ("HTTPS://quay.io", "app"),
        ("ftp://quay.io", "app"),
        ("quay.io", "app"),
        ("https://user@quay.io", "app"),
        ("https://quay", "app"),
        ("https://quay.io", ""),
        ("https://quay.io", "/app"),
        ("https://quay.io", "App"),
        ("https://quay.io", "app:latest"),
        ("https://quay.io", "app?x"),
        ("https://quay.io", "../app"),
    ] {
        assert_eq!(
            parse(endpoint, repository, &unset),
            None,
            "{endpoint} {repository}"
        );
    }
}
