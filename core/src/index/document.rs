//! The top of a document. Its list of manifests is read as it passes by, so
//! that no more of it is held than good descriptors.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::error::Category;

use super::NotAnIndex;
use super::descriptor::{Descriptor, DescriptorError};
use super::json::{DuplicateKey, Key, Node, Object, ReadNode};
use crate::escape;

/// What a document says, before anything is made of it.
pub(super) struct Document<'de> {
    pub(super) top: Object<'de>,
    /// The list of manifests, or the place of the first flawed one.
    pub(super) manifests: Result<Vec<Descriptor>, (u32, DescriptorError)>,
    /// A key that stands twice in an object outside the list of manifests.
    pub(super) repeated: DuplicateKey,
}

impl<'de> Document<'de> {
    pub(super) fn read(bytes: &'de [u8]) -> Result<Self, NotAnIndex> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let document = json.deserialize_map(ReadDocument);
        let whole = document.and_then(|document| json.end().map(|()| document));
        whole.map_err(|error| match error.classify() {
            // Only the top is asked to be of one type.
            Category::Data => NotAnIndex::NotAnObject,
            _ => NotAnIndex::NotJson {
                reason: escape::truncate_message(&error.to_string()),
            },
        })
    }
}

struct ReadDocument;

impl<'de> Visitor<'de> for ReadDocument {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Document<'de>, A::Error> {
        let (mut entries, mut repeated) = (Vec::new(), None);
        let (mut manifests, mut at) = (Ok(Vec::new()), 0);
        while let Some(Key(key)) = from.next_key()? {
            let mut descriptor = |node: Node<'_>, repeated| {
                if let Ok(list) = &mut manifests {
                    match Descriptor::read(&node, repeated) {
                        Ok(descriptor) => list.push(descriptor),
                        Err(flaw) => manifests = Err((at, flaw)),
                    }
                }
                at += 1;
            };
            let mut read = ReadNode::new(&mut repeated);
            if key == "manifests" {
                read.each = Some(&mut descriptor);
            }
            let node = from.next_value_seed(read)?;
            entries.push((key, node));
        }
        let top = Object::new(entries, &mut repeated);
        Ok(Document {
            top,
            manifests,
            repeated,
        })
    }
}
