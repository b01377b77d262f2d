//! Digests that a manifest pins, replaced in its text.

use std::collections::BTreeMap;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::osbuild::{PinError, Pins};

/// As osbuild's tools write manifests, but with every form of a reference, and our digest
/// `OLD` in places that are not ours.
const MANIFEST: &str = r#"{
  "version": "2",
  "pipelines": [
    {"name": "OLD", "stages": [
      {
        "type": "org.osbuild.skopeo",
        "inputs": {
          "images": {
            "type": "org.osbuild.containers",
            "origin": "org.osbuild.source",
            "references": {"OLD": {"name": "OLD"}}
          },
          "manifest-lists": {
            "type": "org.osbuild.files",
            "origin": "org.osbuild.source",
            "references": [ "OLD","KEPT", {"id":   "OLD", "options": {"metadata": "OLD"}} ]
          },
          "map\ud800": {
            "origin": "org.osbuild.source", "type": "org.osbuild.files",
            "references": {"OLD"  : {"note": "OLD"}, "KEPT": {}}, "options": "OLD"
          },
          "tree": {
            "type": "org.osbuild.files", "origin": "org.osbuild.pipeline",
            "references": {"OLD": {}}
          }
        },
        "options": {"references": ["OLD"]}
      }
    ]},
    {"name": "empty"}
  ],
  "sources": {
    "org.osbuild.skopeo": {"items": {"OLD": {"image": {"name": "a", "digest": "OLD"}}}},
    "org.osbuild.skopeo-index": {
	"items": { "KEPT":{"image":{"name":"b"}}, "OLD":{"image": {"name":"a"}} }
    },
    "org.osbuild.curl": {"items": {"OTHER": "https://localhost/OLD"}}
  }
}
"#;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// Writes digests in place of the words.
fn filled(manifest: &str) -> String {
    let words = ["OLD", "NEW", "KEPT", "OTHER"].into_iter();
    words.fold(manifest.to_owned(), |manifest, word| {
        manifest.replace(word, &digest(word).to_string())
    })
}

fn replace(manifest: &str, new: &[(&str, &str)]) -> Result<String, PinError> {
    let manifest = filled(manifest);
    let pins = Pins::parse(manifest.as_bytes()).expect("a manifest");
    let new: BTreeMap<_, _> = new.iter().map(|(a, b)| (digest(a), digest(b))).collect();
    let replaced = pins.replace(&new)?;
    Ok(String::from_utf8(replaced).expect("UTF-8"))
}

#[test]
fn digest_is_replaced_where_an_item_or_an_input_of_files_has_it_and_nowhere_else() {
    let mut expected = MANIFEST.to_owned();
    for (old, new) in [
        ("[ \"OLD\"", "[ \"NEW\""),
        ("\"id\":   \"OLD\"", "\"id\":   \"NEW\""),
        ("{\"OLD\"  :", "{\"NEW\"  :"),
        ("\"OLD\":{\"image\"", "\"NEW\":{\"image\""),
    ] {
        assert_eq!(expected.matches(old).count(), 1, "{old}");
        expected = expected.replace(old, new);
    }
    let replaced = replace(MANIFEST, &[("OLD", "NEW"), ("KEPT", "KEPT")]);
    assert_eq!(replaced, Ok(filled(&expected)));
}

#[test]
fn unchanged_digest_leaves_every_byte() {
    let replaced = replace(MANIFEST, &[("OLD", "OLD")]);
    assert_eq!(replaced, Ok(filled(MANIFEST)));
}

#[test]
fn digests_that_two_items_exchange_are_replaced_once() {
    let replaced = replace(
        r#"{"OLD": 1, "KEPT": 2}"#,
        &[("OLD", "KEPT"), ("KEPT", "OLD")],
    );
    assert_eq!(replaced, Ok(filled(r#"{"KEPT": 1, "OLD": 2}"#)));
}

#[test]
fn items_are_found_in_each_part_of_a_manifest() {
    for form in [
        r#" {"OLD": {}} "#,
        r#"{"items": {"OLD": {}}}"#,
        r#"{"digests": {"OLD": {}}}"#,
        r#"{"org.osbuild.skopeo-index": {"items": {"OLD": {}}}, "org.osbuild.curl": {}}"#,
        r#"{"sources": {"org.osbuild.skopeo-index": {"digests": {"OLD": {}}}}}"#,
    ] {
        let replaced = replace(form, &[("OLD", "NEW")]);
        assert_eq!(replaced, Ok(filled(&form.replace("OLD", "NEW"))), "{form}");
    }
    for form in ["null", "{}", r#"{"sources": {}}"#] {
        assert_eq!(replace(form, &[]), Ok(form.to_owned()));
    }
}

#[test]
fn ambiguous_replacement_is_refused() {
    let duplicate = Err(PinError::Duplicate(digest("KEPT")));
    assert_eq!(replace(MANIFEST, &[("OLD", "KEPT")]), duplicate);
    let duplicate = Err(PinError::Duplicate(digest("NEW")));
    let both = [("OLD", "NEW"), ("KEPT", "NEW")];
    assert_eq!(replace(MANIFEST, &both), duplicate);
    // A reference may mean the file that curl downloads.
    let shared = Err(PinError::Shared(digest("OTHER")));
    assert_eq!(replace(MANIFEST, &[("OLD", "OTHER")]), shared);
    let manifest = MANIFEST.replace("OTHER", "OLD");
    let shared = Err(PinError::Shared(digest("OLD")));
    assert_eq!(replace(&manifest, &[("OLD", "NEW")]), shared);
}

#[test]
fn array_in_place_of_a_source_is_an_error() {
    let manifest = filled(r#"{"sources": {"org.osbuild.skopeo-index": [{"OLD": {}}]}}"#);
    let error = Pins::parse(manifest.as_bytes()).expect_err("an error");
    assert!(error.to_string().contains("expected an object"), "{error}");
}

#[test]
fn digest_with_escapes_is_an_error() {
    let old = digest("OLD").to_string();
    let escaped = old.replace("sha", "sh\\u0061");
    for before in ["[ \"", "{ \"KEPT\":{\"image\":{\"name\":\"b\"}}, \""] {
        let (before, manifest) = (filled(before), filled(MANIFEST));
        let plain = format!("{before}{old}");
        assert_eq!(manifest.matches(&plain).count(), 1, "{plain}");
        let manifest = manifest.replace(&plain, &format!("{before}{escaped}"));
        let error = Pins::parse(manifest.as_bytes()).expect_err("an error");
        let error = error.to_string();
        assert!(error.contains("is written with escapes"), "{error}");
    }
}
