//! `packaging/sbom`, the bill of materials.

use std::collections::BTreeSet;

use serde_json::Value;
use test_support::loopback::run;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/sbom");

pub(crate) fn sbom() -> Value {
    serde_json::from_slice(&run("python3", &[SCRIPT])).expect("JSON")
}

fn components(sbom: &Value) -> &[Value] {
    sbom["components"].as_array().expect("components")
}

/// The components that are part of the program, as `NAME@VERSION`.
pub(crate) fn linked_crates(sbom: &Value) -> BTreeSet<String> {
    let linked = components(sbom).iter().filter(|c| c["scope"] == "required");
    let crates = linked.map(|c| (c["name"].as_str(), c["version"].as_str()));
    let crates = crates.map(|(name, version)| Some(format!("{}@{}", name?, version?)));
    crates.collect::<Option<_>>().expect("names and versions")
}

#[test]
fn sbom_has_linked_and_build_crates_and_none_of_the_tests() {
    let sbom = sbom();
    let scope = |name: &str| {
        let mut found = components(&sbom).iter().filter(|c| c["name"] == name);
        found.next().map(|component| component["scope"].clone())
    };
    for (name, expected) in [
        ("skopeo-index-core", Some("required")),
        ("rustls", Some("required")),
        ("serde_derive", Some("excluded")),
        ("cc", Some("excluded")),
        ("proptest", None),
        ("indexmap", None),
        ("test-support", None),
    ] {
        assert_eq!(scope(name), expected.map(Value::from), "{name}");
    }
}

#[test]
fn sbom_component_has_license_and_checksum_of_the_lock_file() {
    let sbom = sbom();
    let lock = include_str!("../../Cargo.lock");
    for component in components(&sbom) {
        let name = component["name"].as_str().expect("a name");
        let license = &component["licenses"][0]["expression"];
        assert!(license.is_string(), "{component}");
        let checksum = component["hashes"][0]["content"].as_str();
        match checksum {
            Some(checksum) => assert!(lock.contains(checksum), "{component}"),
            None => assert_eq!(name, "skopeo-index-core"),
        }
    }
}

#[test]
fn sbom_dependencies_lead_from_the_program_to_every_component() {
    let sbom = sbom();
    let dependencies = sbom["dependencies"].as_array().expect("a list");
    let mut reached = BTreeSet::new();
    let mut todo = vec![&sbom["metadata"]["component"]["bom-ref"]];
    while let Some(next) = todo.pop() {
        if reached.insert(next.as_str().expect("a reference")) {
            let mut of = dependencies.iter().filter(|entry| entry["ref"] == *next);
            let entry = of.next().expect("an entry");
            todo.extend(entry["dependsOn"].as_array().expect("a list"));
        }
    }
    assert_eq!(reached.len(), components(&sbom).len() + 1);
}

#[test]
fn sbom_is_the_same_each_time() {
    assert_eq!(run("python3", &[SCRIPT]), run("python3", &[SCRIPT]));
}
