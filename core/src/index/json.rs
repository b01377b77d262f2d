//! JSON values with every key of every object, duplicates included.
//!
//! `serde_json::Value` silently keeps the last of two equal keys. RFC 8259, section 4:
//! "When the names within an object are not unique, the behavior of software that
//! receives such an object is unpredictable."
//!
//! Elements of arrays are checked and dropped: an index needs only objects, and 4 MiB of
//! `[],[],…` must not grow into a tree.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::escape::truncate_message;
use crate::keys;

/// A JSON value, as far as an index needs it.
#[derive(Debug)]
pub(super) enum Node<'de> {
    Null,
    Bool,
    /// A number that Go reads into an `int64`: in range, without fraction and exponent.
    Integer(i64),
    /// Any other number.
    Number,
    Text(Cow<'de, str>),
    Array,
    Object(Object<'de>),
}

/// An object's entries in the document's order.
#[derive(Debug, Default)]
pub(super) struct Object<'de>(Box<[(Cow<'de, str>, Node<'de>)]>);

/// The first duplicate key of one object, at any depth, truncated.
pub(super) type DuplicateKey = Option<String>;

/// An object's key, borrowed if it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Key<'k>(#[serde(borrow)] pub(super) Cow<'k, str>);

/// Why two readers of one object may see different things. The texts are truncated.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ambiguity {
    Duplicate(String),
    Spelling(String),
}

/// Keys that decide what a document is, by the object that has them.
pub(super) const INDEX_KEYS: &[&str] = &["schemaVersion", "mediaType", "manifests"];
pub(super) const DESCRIPTOR_KEYS: &[&str] =
    &["mediaType", "digest", "size", "platform", "artifactType"];
pub(super) const PLATFORM_KEYS: &[&str] = &["os", "architecture", "variant", "os.version"];

/// The specification's spelling of a key.
pub(super) fn specified_key(key: &str) -> &str {
    let keys = [INDEX_KEYS, DESCRIPTOR_KEYS, PLATFORM_KEYS].concat();
    let specified = keys.into_iter().find(|name| is_folded_equal(name, key));
    specified.unwrap_or(key)
}

/// Folds a key as Go's `encoding/json` does to compare it with an ASCII field name:
/// Unicode's simple case folding, which maps two characters beyond ASCII to letters.
///
/// Other characters beyond ASCII stay: a key with one matches an ASCII name in no reader.
fn fold_case(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{17f}' => 's',  // LATIN SMALL LETTER LONG S
            '\u{212a}' => 'k', // KELVIN SIGN
            _ => c.to_ascii_lowercase(),
        })
        .collect()
}

fn is_folded_equal(one: &str, other: &str) -> bool {
    fold_case(one) == fold_case(other)
}

impl<'de> Object<'de> {
    /// Stores the entries, and their first duplicate key if `duplicate` is empty.
    pub(super) fn new(
        entries: Vec<(Cow<'de, str>, Node<'de>)>,
        duplicate: &mut DuplicateKey,
    ) -> Self {
        if duplicate.is_none() {
            *duplicate = keys::duplicate(entries.iter().map(|(key, _)| key))
                .map(|key| truncate_message(key));
        }
        Self(entries.into_boxed_slice())
    }

    /// The value of a key in exactly this spelling.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'de>> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    /// Finds the first key that folds to one of the folded `names` and whose value is not
    /// null.
    pub(super) fn find_folded(&self, names: &[&str]) -> Option<&str> {
        let matches = |(key, node): &&(Cow<'de, str>, Node<'de>)| {
            !matches!(node, Node::Null) && names.contains(&fold_case(key).as_str())
        };
        self.0.iter().find(matches).map(|(key, _)| &**key)
    }

    /// Rejects two keys that Go treats as one, and any of `names` in another spelling: Go
    /// accepts it, other readers don't.
    pub(super) fn reject_ambiguous_keys(&self, names: &[&str]) -> Result<(), Ambiguity> {
        if let Some(key) = keys::duplicate(self.0.iter().map(|(key, _)| fold_case(key))) {
            return Err(Ambiguity::Duplicate(truncate_message(&key)));
        }
        let is_respelt = |key: &str| {
            let mut names = names.iter();
            names.any(|name| *name != key && is_folded_equal(name, key))
        };
        match self.0.iter().find(|(key, _)| is_respelt(key)) {
            Some((key, _)) => Err(Ambiguity::Spelling(truncate_message(key))),
            None => Ok(()),
        }
    }
}

/// Takes an element of an array, and its first duplicate key.
type OnElement<'r> = &'r mut dyn FnMut(Node<'_>, DuplicateKey);

/// Reads a [`Node`].
pub(super) struct ReadNode<'r> {
    duplicate: &'r mut DuplicateKey,
    /// Takes the elements, if the value is an array; otherwise they are dropped.
    pub(super) on_element: Option<OnElement<'r>>,
}

impl<'r> ReadNode<'r> {
    /// The first duplicate key goes to `duplicate`, if that is empty.
    pub(super) const fn new(duplicate: &'r mut DuplicateKey) -> Self {
        Self {
            duplicate,
            on_element: None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for ReadNode<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ReadNode<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(i64::try_from(number).map_or(Node::Number, Node::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node<'de>, A::Error> {
        let Some(on_element) = self.on_element else {
            while from
                .next_element_seed(ReadNode::new(self.duplicate))?
                .is_some()
            {}
            return Ok(Node::Array);
        };
        loop {
            let mut duplicate = None;
            match from.next_element_seed(ReadNode::new(&mut duplicate))? {
                Some(node) => on_element(node, duplicate),
                None => return Ok(Node::Array),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(Key(key)) = from.next_key()? {
            entries.push((key, from.next_value_seed(ReadNode::new(self.duplicate))?));
        }
        Ok(Node::Object(Object::new(entries, self.duplicate)))
    }
}
