//! The parser against the second one of `crate::support::oracle`.

use crate::support::oracle::index::reject_reason;
use crate::support::oracle::json::Json::{self, Array, Number, Object, Text};
use crate::support::oracle::json::read;
use crate::support::property::config;
use proptest::prelude::*;
use skopeo_index_core::index::{Index, MediaType};

/// A string cut in the middle of a character.
fn cut() -> Json {
    read(br#""cut \ud83d""#).expect("JSON")
}

fn descriptor() -> impl Strategy<Value = Json> {
    let digest = "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|[a-z0-9]{1,3}\\+b3:[a-zA-Z0-9=_-]{1,9}";
    let keys = ["os", "architecture", "variant", "os.version", "x", "X"];
    let part = prop_oneof![Just(Json::Null), "linux|amd64|v8|".prop_map(Text)];
    let platform = prop::collection::btree_map(prop::sample::select(keys.to_vec()), part, 0..4);
    let platform = platform.prop_map(|parts| {
        let parts = parts.into_iter().map(|(key, part)| (key.to_owned(), part));
        Object(parts.collect())
    });
    let required = ("[a-z]{1,9}/[a-z.+]{1,9}", digest, 0..i64::MAX);
    let optional = ("data|artifactType|urlx", "[a-z=]{0,9}");
    (
        required,
        prop::option::of(platform),
        prop::option::of(optional),
    )
        .prop_map(|((kind, digest, size), platform, optional)| {
            let mut members = vec![
                ("mediaType".to_owned(), Text(kind)),
                ("digest".to_owned(), Text(digest)),
                ("size".to_owned(), Number(size.to_string())),
            ];
            members.extend(platform.map(|platform| ("platform".to_owned(), platform)));
            members.extend(optional.map(|(key, value)| (key, Text(value))));
            Object(members)
        })
}

/// Indexes with any legal members, in any order.
fn index() -> impl Strategy<Value = Json> {
    let annotations = prop::collection::btree_map(
        "[a-zA-Zſ.]{1,6}",
        prop_oneof!["[a-zä]{0,4}".prop_map(Text), Just(cut())],
        0..4,
    )
    .prop_map(|map| Object(map.into_iter().collect()));
    let kind = prop::sample::select(MediaType::ALL.to_vec());
    let kind = prop_oneof![
        kind.prop_map(|kind| Text(kind.as_str().to_owned())),
        Just(Json::Null)
    ];
    let some = (
        prop::option::of(kind),
        prop::option::of(annotations),
        prop::option::of(descriptor()),
    );
    (some, prop::collection::vec(descriptor(), 0..4))
        .prop_map(|((kind, annotations, subject), manifests)| {
            let mut members = vec![
                ("schemaVersion".to_owned(), Number("2".to_owned())),
                ("manifests".to_owned(), Array(manifests)),
            ];
            members.extend(kind.map(|kind| ("mediaType".to_owned(), kind)));
            members.extend(annotations.map(|annotations| ("annotations".to_owned(), annotations)));
            members.extend(subject.map(|subject| ("subject".to_owned(), subject)));
            members
        })
        .prop_shuffle()
        .prop_map(Object)
}

/// A key in a spelling that Go accepts as well.
fn respelt(key: &str, how: u8) -> String {
    match how % 6 {
        0 => key.to_uppercase(),
        1 => key.to_lowercase(),
        2 => key.replacen('s', "\u{17f}", 1),
        3 => key.replacen('k', "\u{212a}", 1),
        _ => key.to_owned(),
    }
}

fn value() -> impl Strategy<Value = Json> {
    let simple = [
        "null",
        "0",
        "1",
        "2",
        "2.0",
        "2e0",
        "-0",
        "\"2\"",
        "[]",
        "{}",
        "true",
        "[[{}]]",
        r#"{"A":1,"a":{}}"#,
        r#""\ud83d""#,
        "1e309",
    ];
    let media = [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
    ];
    prop_oneof![
        prop::sample::select(simple.to_vec()).prop_map(|text| read(text.as_bytes()).expect("JSON")),
        prop::sample::select(media.to_vec()).prop_map(|text| Text(text.to_owned())),
        descriptor().prop_map(|one| Array(vec![one])),
    ]
}

/// A change to a document: a new member, another value, another spelling.
fn change() -> impl Strategy<Value = Change> {
    let keys = [
        "config",
        "layers",
        "fsLayers",
        "history",
        "signatures",
        "manifests",
        "mediaType",
        "schemaVersion",
        "subject",
        "size",
        "digest",
        "platform",
        "os",
        "x",
        "X",
    ];
    let key =
        (prop::sample::select(keys.to_vec()), any::<u8>()).prop_map(|(key, how)| respelt(key, how));
    (any::<prop::sample::Index>(), 0..12_u8, key, value())
}

type Change = (prop::sample::Index, u8, String, Json);

/// Changes the document, or half of the time its first descriptor or that one's platform.
fn changed(document: &mut Json, change: Change) {
    let Object(members) = document else { return };
    let (at, sort, key, value) = change;
    let within = members
        .iter_mut()
        .find_map(|(name, value)| match (name.as_str(), value) {
            ("manifests", Array(list)) => list.first_mut(),
            ("platform", platform) => Some(platform),
            _ => None,
        });
    if let (Some(within @ Object(_)), 4..) = (within, sort) {
        return changed(within, (at, sort - 4, key, value));
    }
    let Object(members) = document else { return };
    let at = at.index(members.len() + 1);
    match (members.get_mut(at), sort % 4) {
        (Some(member), 0) => member.1 = value,
        (Some(member), 1) => member.0 = respelt(&member.0, key.len() as u8),
        _ => members.insert(at, (key, value)),
    }
}

proptest! {
    #![proptest_config(config(1000, "index-oracle.txt"))]

    #[test]
    fn index_is_accepted_in_any_spelling_of_its_json(index in index(), seed: u64) {
        let text = index.to_text(seed);
        prop_assert_eq!(read(text.as_bytes()), Some(index.clone()), "the second parser");
        let parsed = Index::parse(text.as_bytes()).expect("an index");
        let Some(Array(manifests)) = index.member("manifests") else { panic!("{index:?}") };
        let parsed_members: Vec<_> = parsed.manifests().iter().map(|one| (Some(Text(one.digest().to_owned())), Some(Number(one.size().to_string())))).collect();
        let expected: Vec<_> = manifests.iter().map(|one| (one.member("digest").cloned(), one.member("size").cloned())).collect();
        prop_assert_eq!(parsed_members, expected);
        let kind = index.member("mediaType").filter(|kind| **kind != Json::Null).cloned().unwrap_or(Text(MediaType::OciImageIndex.to_string()));
        prop_assert_eq!(Text(parsed.media_type().to_string()), kind);
        prop_assert_eq!(parsed.summary().manifests as usize, manifests.len());
    }

    #[test]
    fn parser_agrees_with_oracle_on_changed_documents(mut document in index(), changes in prop::collection::vec(change(), 1..3), seed: u64) {
        changes.into_iter().for_each(|change| changed(&mut document, change));
        let text = document.to_text(seed);
        let (accepted, rejected) = (Index::parse(text.as_bytes()), reject_reason(&document));
        prop_assert_eq!(accepted.is_ok(), rejected.is_none(), "{:?}, {:?}: {}", accepted, rejected, text);
    }

    #[test]
    fn parser_agrees_with_oracle_on_changed_bytes(index in index(), seed: u64, at: prop::sample::Index, byte in prop::sample::select(b"\"\\{}[]:, \0\n0aSu\x80\xff".to_vec())) {
        let mut bytes = index.to_text(seed).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let (accepted, rejected) = (Index::parse(&bytes), read(&bytes).as_ref().map_or(Some("not JSON"), reject_reason));
        prop_assert_eq!(accepted.is_ok(), rejected.is_none(), "{:?}, {:?}: {}", accepted, rejected, String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn duplicate_key_at_any_depth_is_rejected(index in index(), at: prop::sample::Index, seed: u64) {
        let mut document = index;
        let objects = document.objects();
        let object = at.index(objects);
        prop_assume!(document.duplicate_key_in(object));
        prop_assert!(Index::parse(document.to_text(seed).as_bytes()).is_err(), "{:?}", document);
    }
}
