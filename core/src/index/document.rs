//! Streaming parser of the top-level object. Descriptors are validated as they are read;
//! nothing else of `manifests` is kept in memory.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::error::Category;

use super::NotAnIndex;
use super::descriptor::{Descriptor, DescriptorError};
use super::json::{DuplicateKey, Key, Node, Object, ReadNode};
use crate::escape;

/// A parsed document, not yet validated.
pub(super) struct Document<'de> {
    pub(super) top: Object<'de>,
    /// The list of manifests, or the position of the first invalid one.
    pub(super) manifests: Result<Vec<Descriptor>, (u32, DescriptorError)>,
    /// A duplicate key of any object outside the list of manifests.
    pub(super) duplicate: DuplicateKey,
}

impl<'de> Document<'de> {
    pub(super) fn read(bytes: &'de [u8]) -> Result<Self, NotAnIndex> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let document = json.deserialize_map(ReadDocument);
        let whole = document.and_then(|document| json.end().map(|()| document));
        whole.map_err(|error| match error.classify() {
            // Only the top-level value must be of one type.
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
        let (mut entries, mut duplicate) = (Vec::new(), None);
        let (mut manifests, mut position) = (Ok(Vec::new()), 0);
        while let Some(Key(key)) = from.next_key()? {
            let mut on_element = |node: Node<'_>, duplicate| {
                if let Ok(list) = &mut manifests {
                    match Descriptor::read(&node, duplicate) {
                        Ok(descriptor) => list.push(descriptor),
                        Err(error) => manifests = Err((position, error)),
                    }
                }
                position += 1;
            };
            let mut read = ReadNode::new(&mut duplicate);
            if key == "manifests" {
                read.on_element = Some(&mut on_element);
            }
            let node = from.next_value_seed(read)?;
            entries.push((key, node));
        }
        let top = Object::new(entries, &mut duplicate);
        Ok(Document {
            top,
            manifests,
            duplicate,
        })
    }
}
