//! The digests that a manifest pins, and where in its text they are.
//!
//! ```text
//! "sources": {"org.osbuild.skopeo-index": {"items": {"sha256:…": {"image": {"name": …}}}}}
//! "pipelines": [{"stages": [{"inputs": {"manifest-lists": {"type": "org.osbuild.files",
//!     "origin": "org.osbuild.source", "references": ["sha256:…"]}}}]}]
//! ```

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{FILES, SOURCE, parse_manifest};
use crate::digest::Digest;
use crate::index::decode_string;
use crate::request::Items;

/// The source of images.
const IMAGES: &str = "org.osbuild.skopeo";

/// Sources of osbuild whose objects are not files: an input of files never refers to them.
const OTHER_CONTENT: &[&str] = &[
    "org.osbuild.containers-storage",
    "org.osbuild.ostree",
    IMAGES,
];

/// The items of this source in a manifest, and every place of their digests.
#[derive(Debug)]
pub struct Pins<'j> {
    json: &'j [u8],
    items: Items,
    /// The digests' texts, each once for the item and for every input that refers to it.
    places: BTreeMap<Digest, Vec<Range<usize>>>,
    /// Items of other sources of files.
    others: BTreeSet<Digest>,
    /// Whether the manifest has images for the indexes.
    has_images: bool,
    /// A digest that is written with escapes at one of its places.
    escaped: Option<Digest>,
}

/// Why digests can't be replaced.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Two items would have one key.
    #[error("two items would have the digest {0}")]
    Duplicate(Digest),
    /// An input's reference to the digest may mean the item of another source.
    #[error("{0} is an item of another source as well")]
    Shared(Digest),
}

impl<'j> Pins<'j> {
    /// Finds the items and their places in what [`parse_manifest`] takes.
    ///
    /// # Errors
    /// Those of [`parse_manifest`], or an item's digest is written with escapes.
    pub fn parse(json: &'j [u8]) -> serde_json::Result<Self> {
        let items = parse_manifest(json)?;
        let mut pins = Self {
            json,
            items,
            places: BTreeMap::new(),
            others: BTreeSet::new(),
            has_images: false,
            escaped: None,
        };
        let manifest: &RawValue = serde_json::from_slice(json)?;
        pins.find_items(manifest);
        pins.find_references(manifest);
        if let Some(digest) = pins.escaped {
            let reason = format_args!("{digest} is written with escapes");
            return Err(serde_json::Error::custom(reason));
        }
        Ok(pins)
    }

    /// The items, in their order.
    #[must_use]
    pub const fn items(&self) -> &Items {
        &self.items
    }

    /// Digests that are items of other sources of files.
    #[must_use]
    pub const fn others(&self) -> &BTreeSet<Digest> {
        &self.others
    }

    /// Whether the manifest has items of `org.osbuild.skopeo`, which are images of the indexes
    /// and not replaced: osbuild requires that each index lists one of them.
    #[must_use]
    pub const fn has_images(&self) -> bool {
        self.has_images
    }

    /// The manifest with other digests in place of some. Nothing else of it changes.
    ///
    /// # Errors
    /// If the new manifest would be ambiguous.
    pub fn replace(&self, new: &BTreeMap<Digest, Digest>) -> Result<Vec<u8>, PinError> {
        let mut keys = BTreeSet::new();
        for old in self.places.keys() {
            let digest = new.get(old).unwrap_or(old);
            if !keys.insert(digest) {
                return Err(PinError::Duplicate(*digest));
            }
        }
        let changed = || new.iter().filter(|(old, new)| old != new);
        let shared = changed().flat_map(|(old, new)| [old, new]);
        if let Some(shared) = shared.into_iter().find(|it| self.others.contains(it)) {
            return Err(PinError::Shared(*shared));
        }
        let mut json = self.json.to_owned();
        for (old, new) in changed() {
            for place in self.places.get(old).into_iter().flatten() {
                // A digest's text has one length.
                json[place.clone()].copy_from_slice(new.to_string().as_bytes());
            }
        }
        Ok(json)
    }

    fn find_items(&mut self, manifest: &'j RawValue) {
        // The forms of `parse_manifest`, which rejects two in one manifest.
        let sources: Vec<_> = children(manifest, "sources").chain([manifest]).collect();
        let ours = sources.iter().flat_map(|sources| children(sources, SOURCE));
        let items = ours.chain([manifest]).flat_map(items_of).chain([manifest]);
        for (key, _) in items.flat_map(members_of) {
            self.add_place(key, true);
        }
        for (name, source) in sources.into_iter().flat_map(members_of) {
            self.has_images |= name == IMAGES;
            if name != SOURCE && !OTHER_CONTENT.contains(&&*name) {
                let keys = items_of(source).flat_map(members_of);
                self.others
                    .extend(keys.filter_map(|(key, _)| key.parse::<Digest>().ok()));
            }
        }
    }

    fn find_references(&mut self, manifest: &'j RawValue) {
        let pipelines = children(manifest, "pipelines").flat_map(elements_of);
        let stages = pipelines.flat_map(|pipeline| children(pipeline, "stages"));
        let inputs = stages
            .flat_map(elements_of)
            .flat_map(|stage| children(stage, "inputs"));
        for (_, input) in inputs.flat_map(members_of) {
            let is = |name, value| children(input, name).any(|it| text_of(it) == value);
            if !is("type", FILES) || !is("origin", "org.osbuild.source") {
                continue;
            }
            for references in children(input, "references") {
                for (key, _) in members_of(references) {
                    self.add_place(key, false);
                }
                for element in elements_of(references) {
                    self.add_place(text_of(element), false);
                    children(element, "id").for_each(|id| self.add_place(text_of(id), false));
                }
            }
        }
    }

    /// Adds a text of the manifest, if it is the digest of an item.
    fn add_place(&mut self, text: Cow<'j, str>, is_item: bool) {
        let Ok(digest) = text.parse::<Digest>() else {
            return;
        };
        if !is_item && !self.places.contains_key(&digest) {
            return;
        }
        match text {
            Cow::Borrowed(text) => {
                let start = text.as_ptr().addr() - self.json.as_ptr().addr();
                let places = self.places.entry(digest).or_default();
                places.push(start..start + text.len());
            }
            Cow::Owned(_) => self.escaped = Some(digest),
        }
    }
}

/// The objects of items in a source.
fn items_of(source: &RawValue) -> impl Iterator<Item = &RawValue> {
    children(source, "items").chain(children(source, "digests"))
}

/// The values of a key in an object; none in anything else.
fn children<'j>(json: &'j RawValue, name: &'static str) -> impl Iterator<Item = &'j RawValue> {
    let members = members_of(json).into_iter();
    members.filter_map(move |(key, value)| (key == name).then_some(value))
}

/// A key, borrowed from the manifest if it has no escapes, and its value.
type Member<'j> = (Cow<'j, str>, &'j RawValue);

/// The members of an object; none of anything else.
fn members_of(json: &RawValue) -> Vec<Member<'_>> {
    let mut json = serde_json::Deserializer::from_str(json.get());
    json.deserialize_map(MembersVisitor).unwrap_or_default()
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = from.next_entry()? {
            members.push((text_of(key), value));
        }
        Ok(members)
    }
}

/// The elements of an array; none of anything else.
fn elements_of(json: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(json.get()).unwrap_or_default()
}

/// A string's text; empty for anything else, and where it is not Unicode.
fn text_of(json: &RawValue) -> Cow<'_, str> {
    decode_string(json.get()).unwrap_or_default()
}
