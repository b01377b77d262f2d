//! Stories of runs that may use the registry client.

use crate::support::audit_log::sample::logs;
use crate::support::audit_log::unseal;
use serde_json::{Value, json};

use super::change::{fetched, position, transition};
use super::{Change, Records, Story, codes};

/// The runs by raw get their bytes by the registry client, and other failures by skopeo.
pub(super) fn by_auto(records: &mut Records) {
    let identity = records
        .iter()
        .find_map(|record| record["entry"]["run"]["source"].get("skopeo").cloned())
        .expect("a skopeo");
    let mut at = 0;
    while at < records.len() {
        let entry = &mut records[at]["entry"];
        if entry["run"]["policy"]["method"] == "raw" {
            entry["run"]["source"] = "auto".into();
            let mut skopeo = records[at].clone();
            skopeo["entry"] = json!({ "skopeo": identity });
            records.insert(at + 1, skopeo);
        } else if entry["transition"]["event"]["outcome"]
            .get("fetched")
            .is_some()
            && entry["transition"]["command"]["argv"][2] == "inspect"
        {
            let transition = entry["transition"].as_object_mut().expect("an object");
            transition.remove("command");
            transition.insert("registry".to_owned(), plain());
        }
        at += 1;
    }
}

/// An exchange over plain HTTP, which the sample's requests allow.
pub(super) fn plain() -> Value {
    json!({
        "endpoint": "http://localhost", "milliseconds": 2, "peer": "127.0.0.1:80", "status": 200,
    })
}

fn tls() -> Value {
    json!({ "certificate": format!("sha256:{}", "1".repeat(64)), "version": "1.3" })
}

fn exchange(records: &mut Records) -> &mut Value {
    &mut fetched(records)["registry"]
}

/// The record that identifies skopeo in the run of the first command.
fn identity(records: &Records) -> usize {
    let with_command = position(records, "raw", "/entry/transition/command");
    let is_identity = |record: &Value| record["entry"].get("skopeo").is_some();
    let before = records[..with_command].iter().rposition(is_identity);
    before.expect("an identity")
}

/// The first failed attempt is the registry client's, whose retry brings the bytes.
fn fail(records: &mut Records, status: u16, kind: &str) {
    let failed = transition(records, "raw", "failed");
    failed.as_object_mut().expect("an object").remove("command");
    failed["registry"] = plain();
    failed["registry"]["status"] = status.into();
    failed["event"]["outcome"]["failed"]["error"]["command"]["kind"] = kind.into();
}

/// The first failed attempt is skopeo's, after an answer of the registry client.
pub(super) fn ask_skopeo(records: &mut Records, status: u16) {
    let failed = transition(records, "raw", "failed");
    failed["registry"] = plain();
    failed["registry"]["status"] = status.into();
}

#[rustfmt::skip]
const STORIES: &[Story] = &[
    ("bytes without an exchange", |r| drop(fetched(r).as_object_mut().expect("an object").remove("registry")), "missing-exchange"),
    ("bytes of an answer of 404", |r| exchange(r)["status"] = 404.into(), "missing-exchange"),
    ("bytes without an answer", |r| drop(exchange(r).as_object_mut().expect("an object").remove("status")), "missing-exchange"),
    ("a status of two digits", |r| exchange(r)["status"] = 99.into(), "invalid-exchange"),
    ("a status of four digits", |r| exchange(r)["status"] = 1000.into(), "invalid-exchange"),
    ("an answer of no address", |r| drop(exchange(r).as_object_mut().expect("an object").remove("peer")), "invalid-exchange"),
    ("plain HTTP with a certificate", |r| exchange(r)["tls"] = tls(), "invalid-exchange"),
    ("HTTPS without a certificate", |r| exchange(r)["endpoint"] = "https://localhost".into(), "invalid-exchange"),
    ("a certificate of no address", |r| {
        *exchange(r) = json!({ "endpoint": "https://localhost", "milliseconds": 2, "tls": tls() });
    }, "invalid-exchange"),
    ("a peer without a port", |r| exchange(r)["peer"] = "127.0.0.1".into(), "invalid-exchange"),
    ("a peer that is a name", |r| exchange(r)["peer"] = "localhost:80".into(), "invalid-exchange"),
    ("a peer at port 0", |r| exchange(r)["peer"] = "127.0.0.1:0".into(), "invalid-exchange"),
    ("a peer at no address", |r| exchange(r)["peer"] = "0.0.0.0:80".into(), "invalid-exchange"),
    ("a peer that is a group", |r| exchange(r)["peer"] = "[ff02::1]:80".into(), "invalid-exchange"),
    ("a repository that is a path", |r| exchange(r)["repository"] = "../app".into(), "invalid-exchange"),
    ("a repository with a tag", |r| exchange(r)["repository"] = "app:tag".into(), "invalid-exchange"),
    ("a missing manifest that was answered with 200", |r| fail(r, 200, "not-found"), "missing-exchange"),
    ("a registry error that was answered with 404", |r| fail(r, 404, "server"), "missing-exchange"),
    ("a rate limit that was answered with 500", |r| fail(r, 500, "rate-limited"), "missing-exchange"),
    ("a network error that was answered with 500", |r| fail(r, 500, "network"), "missing-exchange"),
    ("an unexpected answer of 500", |r| fail(r, 500, "unexpected-answer"), "missing-exchange"),
    ("a TLS version that the client refuses", |r| {
        exchange(r)["endpoint"] = "https://localhost".into();
        exchange(r)["tls"] = tls();
        exchange(r)["tls"]["version"] = "1.1".into();
    }, "invalid-exchange"),
    ("an exchange of millennia", |r| exchange(r)["milliseconds"] = 1_000_000_000_000_000_u64.into(), "command-duration"),
    ("an endpoint with a path", |r| exchange(r)["endpoint"] = "http://localhost/v2".into(), "invalid-exchange"),
    ("an endpoint that is not an HTTP URL", |r| exchange(r)["endpoint"] = "ftp://localhost".into(), "invalid-exchange"),
    ("plain HTTP that the request does not allow", |r| {
        for record in r.iter_mut() {
            if let Some(location) = record.pointer_mut("/entry/transition/request/location/docker") {
                location["tlsVerify"] = "always".into();
            }
        }
        // The commands of the sample switch verification off.
        r.retain(|record| record["entry"]["transition"].get("command").is_none());
    }, "invalid-exchange"),
    ("an exchange that stages", |r| transition(r, "raw", "staged")["registry"] = plain(), "unexpected-exchange"),
    ("an exchange in a run by copy", |r| transition(r, "copy", "fetched")["registry"] = plain(), "unexpected-exchange"),
    ("a command before skopeo is identified", |r| {
        let at = identity(r);
        r.remove(at);
    }, "unidentified-skopeo"),
    ("a skopeo that is identified twice", |r| {
        let at = position(r, "raw", "/entry/skopeo");
        r.insert(at, r[at].clone());
    }, "run"),
    ("a skopeo in a run by the client alone", |r| {
        let at = position(r, "raw", "/entry/run");
        r[at]["entry"]["run"]["source"] = "registry".into();
    }, "run"),
    ("a command in a run by the client alone", |r| {
        let at = identity(r);
        r.remove(at);
        r[at - 1]["entry"]["run"]["source"] = "registry".into();
    }, "unexpected-command"),
];

#[test]
fn forged_exchange_has_a_finding_of_its_kind() {
    let mut records = unseal(&logs()[0]);
    by_auto(&mut records);
    assert_eq!(codes(&records, |_| {}), [""; 0], "a possible story");
    for (name, change, expected) in STORIES {
        let codes = codes(&records, *change);
        assert_eq!(codes.first(), Some(expected), "{name}: {codes:?}");
    }
}

#[test]
fn possible_exchange_has_no_finding() {
    let possible: &[(&str, Change)] = &[
        ("an answer of 500", |r| fail(r, 500, "server")),
        ("an answer of 429", |r| fail(r, 429, "rate-limited")),
        ("an answer of 100, then skopeo", |r| ask_skopeo(r, 100)),
        ("an answer of 999, then skopeo", |r| ask_skopeo(r, 999)),
        ("a token server that breaks", |r| fail(r, 401, "network")),
        ("a token server that limits requests", |r| {
            fail(r, 401, "rate-limited")
        }),
        ("no answer", |r| {
            fail(r, 500, "network");
            let failed = transition(r, "raw", "failed");
            failed["registry"] = json!({ "endpoint": "http://localhost", "milliseconds": 2 });
        }),
        ("an address that the host replaces", |r| {
            exchange(r)["peer"] = "10.0.0.7:5000".into()
        }),
        ("a peer by IPv6", |r| {
            exchange(r)["peer"] = "[fe80::1%2]:80".into()
        }),
        ("a redirect to another repository", |r| {
            exchange(r)["endpoint"] = "http://cdn.example:8080".into();
            exchange(r)["repository"] = "mirror/x/app".into();
        }),
    ];
    let mut records = unseal(&logs()[0]);
    by_auto(&mut records);
    for (name, change) in possible {
        assert_eq!(codes(&records, *change), [""; 0], "{name}");
    }
}
