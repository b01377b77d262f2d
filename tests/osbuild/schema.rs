//! The JSON Schema of the items, and the parser of items, agree.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::{ItemError, Request};

const META: &str = include_str!("../../src/osbuild/org.osbuild.skopeo-index.meta.json");

/// Whether a JSON Schema allows a value. It knows the keywords of the source's schema only.
fn allows(schema: &Value, root: &Value, value: &Value) -> bool {
    schema
        .as_object()
        .expect("a schema")
        .iter()
        .all(|(keyword, argument)| match keyword.as_str() {
            "description" | "default" | "definitions" | "additionalProperties" => true,
            "$ref" => {
                let pointer = argument
                    .as_str()
                    .expect("a pointer")
                    .trim_start_matches('#');
                allows(root.pointer(pointer).expect("a definition"), root, value)
            }
            "type" => match argument.as_str().expect("a type") {
                "object" => value.is_object(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                other => panic!("{other}"),
            },
            "enum" => argument.as_array().expect("values").contains(value),
            "required" => argument.as_array().expect("names").iter().all(|name| {
                value
                    .as_object()
                    .is_none_or(|object| object.contains_key(name.as_str().expect("a name")))
            }),
            "oneOf" => {
                let options = argument.as_array().expect("schemas");
                options
                    .iter()
                    .filter(|option| allows(option, root, value))
                    .count()
                    == 1
            }
            "properties" | "patternProperties" => value.as_object().is_none_or(|object| {
                object
                    .iter()
                    .all(|(key, value)| match property(schema, key) {
                        Some(schema) => allows(schema, root, value),
                        None => schema["additionalProperties"] != false,
                    })
            }),
            other => panic!("unknown keyword {other}"),
        })
}

/// The pattern of item keys; `property` does what Python does with it.
const PATTERN: &str = r"^sha256:[0-9a-f]{64}$(?!\n)";

#[test]
fn key_pattern_matches_in_python_what_the_parser_accepts() {
    let good = digest();
    let keys = [
        good.clone(),
        format!("{good}\n"),
        format!("{good}\n\n"),
        format!("\n{good}"),
        format!("{good}/../x"),
        good.to_uppercase(),
        good[..70].to_owned(),
    ];
    // osbuild's jsonschema uses `re.search`.
    let script = "import json, re, sys; keys = json.load(sys.stdin); \
                  print(json.dumps([bool(re.search(sys.argv[1], key)) for key in keys]))";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script, PATTERN]);
    let mut python = python
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3; `make setup` installs it");
    let stdin = python.stdin.take().expect("stdin");
    serde_json::to_writer(stdin, &keys).expect("keys");
    let output = python.wait_with_output().expect("an exit status");
    let matched: Vec<bool> = serde_json::from_slice(&output.stdout).expect("JSON");
    let parsed: Vec<bool> = keys
        .iter()
        .map(|key| key.parse::<Digest>().is_ok())
        .collect();
    assert_eq!(matched, parsed);
}

/// The schema of the property `key`.
fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    let by_pattern = || {
        let (pattern, schema) = schema["patternProperties"].as_object()?.iter().next()?;
        assert_eq!(pattern, PATTERN);
        let hex = key.strip_prefix("sha256:")?;
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (hex.len() == 64 && hex.bytes().all(digit)).then_some(schema)
    };
    schema["properties"].get(key).or_else(by_pattern)
}

fn digest() -> String {
    test_support::loopback::digest(b"")
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(digest()),
        1 => Just(digest().to_uppercase()),
        1 => Just(format!("{}/../x", digest())),
        1 => Just(format!("x{}", digest())),
        1 => Just(format!("{}\n", digest())),
        1 => Just(digest()[..70].to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("localhost/app")),
        Just(json!("")),
        Just(json!("docker")),
        Just(json!("/var/lib")),
        Just(json!("containers-storage")),
        Just(json!(true)),
        Just(json!(false)),
        Just(json!(null)),
        Just(json!(1)),
        Just(json!([])),
        Just(json!({})),
    ]
}

fn image() -> impl Strategy<Value = Value> {
    const KNOWN: [&str; 5] = [
        "name",
        "tls-verify",
        "containers-transport",
        "storage-location",
        "digest",
    ];
    let entries = || prop::collection::vec((prop::sample::select(&KNOWN[..]), value()), 0..5);
    let good = entries().prop_map(|entries| {
        let mut image: Map<String, Value> = entries
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect();
        image.insert("name".to_owned(), json!("localhost/app"));
        Value::Object(image)
    });
    let any = entries().prop_map(|entries| {
        entries
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect::<Value>()
    });
    prop_oneof![4 => good, 1 => any, 1 => value()]
}

fn item() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => image().prop_map(|image| json!({ "image": image })),
        1 => image().prop_map(|image| json!({ "image": image, "more": 1 })),
        1 => value(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: Some(Box::new(
            proptest::test_runner::FileFailurePersistence::Direct("proptest-regressions/osbuild-schema.txt"),
        )),
        ..ProptestConfig::default()
    })]

    #[test]
    fn parser_accepts_only_items_that_the_schema_allows(
        (key, item) in (key(), item()),
    ) {
        let meta: Value = serde_json::from_str(META).expect("JSON");
        let schema = &meta["schema"];
        let allowed = allows(schema, schema, &json!({ "items": { &key: item } }));
        match Request::from_item(&key, &serde_json::value::to_raw_value(&item).expect("JSON")) {
            Ok(_) => prop_assert!(allowed),
            Err(ItemError::Name(_) | ItemError::Location(_) | ItemError::StorageLocationWithDocker) => {}
            Err(error) => prop_assert!(!allowed, "{}", error),
        }
    }
}

#[test]
fn metadata_has_summary_description_and_schema() {
    let meta: Value = serde_json::from_str(META).expect("JSON");
    assert!(meta["summary"].is_string());
    assert!(
        meta["description"]
            .as_array()
            .is_some_and(|lines| lines.iter().all(Value::is_string))
    );
    let schema = &meta["schema"];
    let item = json!({ digest(): { "image": { "name": "localhost/app" } } });
    assert!(allows(schema, schema, &json!({ "items": item })));
    assert!(allows(schema, schema, &json!({ "digests": item })));
    assert!(!allows(
        schema,
        schema,
        &json!({ "items": item, "digests": item })
    ));
    assert!(!allows(schema, schema, &json!({})));
}
